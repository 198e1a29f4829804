"""Replies that are finished together are stored by one transaction; each turn has the fence that it has alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.orm import Session

from dialogue.core import outbox, turns
from dialogue.core.outbox import Owed
from dialogue.core.turns import ANSWERED_COLUMNS, ClaimedTurn, FinishedReply, answered, with_postscript
from dialogue.states import DeliveryKind, TurnState
from dialogue.tables import CONVERSATIONS, TURNS

_NEXT = TURNS.alias()
# locked and fenced at once: the owner, and below the epoch; rows that others hold are completed one by one
_HELD = (
    select(
        TURNS.c.id,
        TURNS.c.postscript,
        CONVERSATIONS.c.epoch,
        exists()
        .where(_NEXT.c.conversation_id == TURNS.c.conversation_id, _NEXT.c.state == TurnState.WAITING)
        .label("is_followed"),
    )
    .join(CONVERSATIONS, CONVERSATIONS.c.id == TURNS.c.conversation_id)
    .where(
        TURNS.c.id.in_(bindparam("turn_ids", expanding=True)),
        TURNS.c.owner == bindparam("by_owner"),
        TURNS.c.state == TurnState.GENERATING,
        CONVERSATIONS.c.closed_at.is_(None),
    )
    .with_for_update(key_share=True, skip_locked=True, of=TURNS)
)
_ANSWER_HELD = (
    update(TURNS)
    .where(TURNS.c.id == bindparam("turn_id"))
    .values({name: bindparam(f"new_{name}") for name in ANSWERED_COLUMNS})
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A claimed turn and its reply, behind a `preface` in our own words."""

    turn: ClaimedTurn
    reply: FinishedReply
    preface: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The turns whose replies are stored; `is_followed`: another turn of one of their conversations waits."""

    turn_ids: frozenset[UUID] = frozenset()
    is_followed: bool = False


def complete_held(session: Session, completions: Sequence[Completion], *, owner: UUID, now: datetime) -> Stored:
    """Store the replies and their deliveries of the turns that this owner holds.

    The others were lost, or their rows are locked: `complete` waits and tells which.
    """
    turn_ids = [completion.turn.id for completion in completions]
    rows = {row.id: row for row in session.execute(_HELD, {"turn_ids": turn_ids, "by_owner": owner})}
    held = [
        completion
        for completion in completions
        if completion.turn.id in rows and rows[completion.turn.id].epoch == completion.turn.epoch
    ]
    if not held:
        return Stored()
    session.execute(
        _ANSWER_HELD,
        [{"turn_id": each.turn.id, **answered(each.turn, each.reply, now=now)} for each in held],
    )
    owed = [text for completion in held for text in _texts(completion, rows[completion.turn.id].postscript)]
    outbox.owe_all(session, owed, now=now)
    stored = frozenset(completion.turn.id for completion in held)
    return Stored(turn_ids=stored, is_followed=any(rows[turn_id].is_followed for turn_id in stored))


def complete(session: Session, completion: Completion, *, owner: UUID, now: datetime) -> UUID | None:
    """Store one reply, and wait for its row; None if this owner lost the turn."""
    turn, reply = completion.turn, completion.reply
    return turns.complete(session, turn, reply, preface=completion.preface, owner=owner, now=now)


def _texts(completion: Completion, postscript: bytes | None) -> list[Owed]:
    turn = completion.turn
    reply = _owed(turn, with_postscript(turn, completion.reply.text, postscript), DeliveryKind.REPLY, turn.id)
    if completion.preface is None:
        return [reply]
    return [_owed(turn, completion.preface, DeliveryKind.NOTICE), reply]


def _owed(turn: ClaimedTurn, text: str, kind: DeliveryKind, turn_id: UUID | None = None) -> Owed:
    return Owed(
        key=turn.key,
        person_id=turn.person_id,
        address=turn.address,
        conversation_id=turn.conversation_id,
        text=text,
        kind=kind,
        turn_id=turn_id,
    )
