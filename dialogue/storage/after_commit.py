"""Hints queued on a transaction's session by the code that writes a row, and announced after the commit.

No use case has to remember to announce anything, and nothing is announced early: `Database.begin` hands the queue over
after the commit; a rollback, also to a savepoint, drops what was queued in it. The rows are the truth, so losing a hint
only costs time.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from dialogue.storage.prepared import PreparingSession

_KEY = "after_commit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Each of them once, in the order in which they were queued."""

    owed_channels: tuple[str, ...] = ()
    """Channels whose couriers have something to send."""
    waiting_conversation_ids: tuple[UUID, ...] = ()
    """Conversations in which a worker has something to answer."""
    cancelled_turn_ids: tuple[UUID, ...] = ()
    """Turns whose generation is to stop."""
    wanted_on: tuple[str, ...] = ()
    """Channels that have a picture or a voice message to fetch."""

    def __bool__(self) -> bool:
        return bool(self.owed_channels or self.waiting_conversation_ids or self.cancelled_turn_ids or self.wanted_on)


Announce = Callable[[Hints], None]
"""Tells the other processes; it may fail, and is never retried."""


@dataclass(frozen=True, slots=True)
class _Owed:
    channel: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    conversation_id: UUID


@dataclass(frozen=True, slots=True)
class _Cancelled:
    turn_id: UUID


@dataclass(frozen=True, slots=True)
class _Wanted:
    channel: str


@dataclass(slots=True)
class _Queue:
    hints: list[_Owed | _Waiting | _Cancelled | _Wanted] = field(default_factory=list)
    lengths: dict[SessionTransaction, int] = field(default_factory=dict)
    """How many hints there were when each open savepoint was set."""


class QueueingSession(PreparingSession):
    """A session that drops a savepoint's hints together with its rows."""


def owe(session: Session, channel: str) -> None:
    """A text is now owed on that channel."""
    _queue(session).hints.append(_Owed(channel))


def ring(session: Session, conversation_id: UUID) -> None:
    """A turn of that conversation waits for a worker."""
    _queue(session).hints.append(_Waiting(conversation_id))


def cancel(session: Session, turn_ids: Iterable[UUID]) -> None:
    """These turns are no longer to be generated."""
    _queue(session).hints.extend(_Cancelled(turn_id) for turn_id in turn_ids)


def want(session: Session, channel: str) -> None:
    """There is now something to fetch on that channel."""
    _queue(session).hints.append(_Wanted(channel))


def queued(session: Session) -> Hints:
    """What is announced if the transaction is committed as it stands."""
    hints = list(dict.fromkeys(_queue(session).hints))
    return Hints(
        owed_channels=tuple(hint.channel for hint in hints if isinstance(hint, _Owed)),
        waiting_conversation_ids=tuple(hint.conversation_id for hint in hints if isinstance(hint, _Waiting)),
        cancelled_turn_ids=tuple(hint.turn_id for hint in hints if isinstance(hint, _Cancelled)),
        wanted_on=tuple(hint.channel for hint in hints if isinstance(hint, _Wanted)),
    )


def _queue(session: Session) -> _Queue:
    queue: _Queue = session.info.setdefault(_KEY, _Queue())
    return queue


@event.listens_for(QueueingSession, "after_transaction_create")
def _remember_length(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        queue = _queue(session)
        queue.lengths[transaction] = len(queue.hints)


@event.listens_for(QueueingSession, "after_soft_rollback")
def _drop(session: Session, transaction: SessionTransaction) -> None:
    queue = _queue(session)
    length = queue.lengths.get(transaction, len(queue.hints)) if transaction.nested else 0
    del queue.hints[length:]
