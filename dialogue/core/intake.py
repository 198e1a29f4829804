"""Stores inbound messages. The person must be locked: that makes deduplication and turn order race-free."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, exists, insert, select, update
from sqlalchemy.orm import Session

from dialogue.core import budgets
from dialogue.core.people import KnownPerson
from dialogue.messages import InboundMessage
from dialogue.states import HELD_RING_COUNT, OPEN_TURN_STATES, TurnState
from dialogue.storage import after_commit
from dialogue.storage.ids import new_id
from dialogue.tables import MESSAGES, TURNS

_STORED = (
    select(
        MESSAGES.c.id,
        MESSAGES.c.text,
        MESSAGES.c.expires_at,
        MESSAGES.c.conversation_id,
        MESSAGES.c.turn_id,
        TURNS.c.state,
    )
    .outerjoin(TURNS, TURNS.c.id == MESSAGES.c.turn_id)
    .where(
        MESSAGES.c.channel == bindparam("channel"),
        MESSAGES.c.account == bindparam("account"),
        MESSAGES.c.external_id == bindparam("external_id"),
    )
)
_RECENTLY_HEARD_LATE = select(
    exists().where(
        MESSAGES.c.conversation_id == bindparam("of_conversation"),
        MESSAGES.c.turn_id.is_(None),
        MESSAGES.c.sent_at < bindparam("sent_before"),
        MESSAGES.c.received_at > bindparam("heard_after"),
    )
)
_TO_RECALL = select(MESSAGES.c.id, MESSAGES.c.turn_id, MESSAGES.c.conversation_id).where(
    MESSAGES.c.text.is_not(None),
    MESSAGES.c.channel == bindparam("channel"),
    MESSAGES.c.account == bindparam("account"),
    MESSAGES.c.external_id == bindparam("external_id"),
)
_ERASE_WORDS = update(MESSAGES).where(MESSAGES.c.id == bindparam("message_id")).values(text=None, expires_at=None)
_DISCARD_EMPTY_TURN = (
    update(TURNS)
    .where(
        TURNS.c.id == bindparam("of_turn"),
        TURNS.c.state.in_(OPEN_TURN_STATES),
        ~exists().where(MESSAGES.c.turn_id == TURNS.c.id, MESSAGES.c.text.is_not(None)),
    )
    .values(state=TurnState.DISCARDED, finished_at=bindparam("now"))
    .returning(TURNS.c.id)
)
_NEWEST = (
    select(MESSAGES.c.id, MESSAGES.c.text, MESSAGES.c.received_at)
    .where(MESSAGES.c.person_id == bindparam("of_person"))
    .order_by(MESSAGES.c.received_at.desc(), MESSAGES.c.id.desc())
    .limit(1)
)
_STORE = insert(MESSAGES)
# locked: a worker claiming it now either sees the joining message or claimed it before
_LAST_TURN = (
    select(TURNS.c.id, TURNS.c.seq, TURNS.c.state, TURNS.c.postscript, TURNS.c.ring_count)
    .where(TURNS.c.conversation_id == bindparam("conversation_id"))
    .order_by(TURNS.c.seq.desc())
    .limit(1)
    .with_for_update(key_share=True)
)
_OPEN_TURN = insert(TURNS)
_ADD_POSTSCRIPT = update(TURNS).where(TURNS.c.id == bindparam("turn_id")).values(postscript=bindparam("new_postscript"))
_JOIN = (
    update(MESSAGES)
    .where(MESSAGES.c.id.in_(bindparam("message_ids", expanding=True)))
    .values(turn_id=bindparam("of_turn"), expires_at=None)
)
_REPLACE_TEXT = update(MESSAGES).where(MESSAGES.c.id == bindparam("of_message")).values(text=bindparam("new_text"))
_LOCK_TURN = (
    select(TURNS.c.state, TURNS.c.postscript).where(TURNS.c.id == bindparam("of_turn")).with_for_update(key_share=True)
)
_DISCARD = (
    update(TURNS)
    .where(TURNS.c.id == bindparam("of_turn"))
    .values(state=TurnState.DISCARDED, finished_at=bindparam("now"))
)
_END_HOLD = update(TURNS).where(TURNS.c.id == bindparam("of_turn")).values(rung_at=bindparam("now"), ring_count=1)
_OF_TURN = select(MESSAGES.c.id).where(MESSAGES.c.turn_id == bindparam("of_turn")).order_by(MESSAGES.c.id)
_POSTSCRIPT = "turns.postscript"
_TEXT = "messages.text"
_BURST = timedelta(seconds=60)

LATE = timedelta(minutes=10)
"""Words that are older when we first hear them are answered by a sentence of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Where a message went."""

    message_id: UUID
    conversation_id: UUID
    turn_id: UUID
    is_new_turn: bool
    instead_of: UUID | None = None  # the turn that was being generated and is discarded


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWords:
    """A message that is kept. `text` is None where only its mark is; `is_held` while it waits for a consent."""

    message_id: UUID
    text: str | None = field(repr=False)
    conversation_id: UUID | None
    turn_id: UUID | None
    state: TurnState | None
    is_held: bool

    @property
    def is_settled(self) -> bool:
        """Whether it was answered, refused or obeyed."""
        return not self.is_held and self.state not in OPEN_TURN_STATES


def stored(session: Session, person: KnownPerson, message: InboundMessage, *, external_id: str) -> StoredWords | None:
    """An earlier message of the same account, as it is kept now."""
    place = {"channel": message.address.channel, "account": message.account, "external_id": external_id}
    row = session.execute(_STORED, place).first()
    if row is None:
        return None
    return StoredWords(
        message_id=row.id,
        text=person.key.open(row.text, row=row.id, column=_TEXT) if row.text is not None else None,
        conversation_id=row.conversation_id,
        turn_id=row.turn_id,
        state=row.state,
        is_held=row.expires_at is not None,
    )


def is_known(session: Session, message: InboundMessage, *, external_id: str) -> bool:
    """Whether an earlier message of the same account is kept."""
    place = {"channel": message.address.channel, "account": message.account, "external_id": external_id}
    return session.execute(_STORED, place).first() is not None


def was_late_before(session: Session, conversation_id: UUID, *, now: datetime) -> bool:
    """Whether other words in the conversation were late (`LATE`), and heard just now."""
    times = {"sent_before": now - LATE, "heard_after": now - _BURST}
    return bool(session.scalar(_RECENTLY_HEARD_LATE, {"of_conversation": conversation_id, **times}))


def recall(session: Session, person: KnownPerson, message: InboundMessage, *, external_id: str, now: datetime) -> None:
    """The person took an earlier message back: its words are erased, and nobody answers it any more.

    A reply that is being generated to it and to other words is begun anew. What was answered already stays answered.
    The person must be locked.
    """
    place = {"channel": message.address.channel, "account": message.account, "external_id": external_id}
    found = session.execute(_TO_RECALL, place).first()
    if found is None:
        return
    session.execute(_ERASE_WORDS, {"message_id": found.id})
    if found.turn_id is None:
        return
    if discarded := session.scalars(_DISCARD_EMPTY_TURN, {"of_turn": found.turn_id, "now": now}).all():
        after_commit.cancel(session, discarded)
        return
    turn = session.execute(_LOCK_TURN, {"of_turn": found.turn_id}).one()
    if turn.state is TurnState.GENERATING:
        _begin_anew(session, person, found.turn_id, found.conversation_id, turn.postscript, now=now)


def is_burst(session: Session, person: KnownPerson, *, mark: str, now: datetime, within: timedelta = _BURST) -> bool:
    """Whether the person's last message was stored as that `mark`, no longer ago than `within`."""
    newest = session.execute(_NEWEST, {"of_person": person.id}).first()
    if newest is None or newest.text is None or now - newest.received_at > within:
        return False
    return person.key.open(newest.text, row=newest.id, column=_TEXT) == mark


def append_to_turn(
    session: Session,
    person: KnownPerson,
    message: InboundMessage,
    conversation_id: UUID,
    *,
    text: str,
    postscript: str | None = None,
    held_until: datetime | None = None,
    now: datetime,
) -> Received:
    """Add a message with the cleaned `text` to the waiting turn of its open conversation, or open the next turn.

    `postscript` is appended to the reply, in our own words. A turn that is opened here is answered after `held_until`.
    """
    turn_id, is_new = _waiting_turn(
        session, person, conversation_id, postscript=postscript, held_until=held_until, now=now
    )
    message_id = store(session, person, message, text=text, conversation_id=conversation_id, turn_id=turn_id, now=now)
    return Received(message_id=message_id, conversation_id=conversation_id, turn_id=turn_id, is_new_turn=is_new)


def revise(
    session: Session,
    person: KnownPerson,
    message: InboundMessage,
    replaced: StoredWords,
    *,
    text: str,
    postscript: str | None = None,
    now: datetime,
) -> Received:
    """Put the `text` in the place of words that no reply answers yet; one that is being generated is begun anew."""
    if replaced.conversation_id is None or replaced.turn_id is None:
        raise ValueError("only words of a turn can be revised")
    turn_id = replaced.turn_id
    turn = session.execute(_LOCK_TURN, {"of_turn": turn_id}).one()
    if turn.state in OPEN_TURN_STATES:  # else it was answered in the meantime
        replace_text(session, person, replaced.message_id, text)
        if turn.state is TurnState.GENERATING:
            turn_id = _begin_anew(session, person, turn_id, replaced.conversation_id, turn.postscript, now=now)
        _waiting_turn(session, person, replaced.conversation_id, postscript=postscript, now=now)
    message_id = store(session, person, message, text=None, conversation_id=replaced.conversation_id, now=now)
    return Received(
        message_id=message_id,
        conversation_id=replaced.conversation_id,
        turn_id=turn_id,
        is_new_turn=turn_id != replaced.turn_id,
        instead_of=replaced.turn_id if turn_id != replaced.turn_id else None,
    )


def replace_text(session: Session, person: KnownPerson, message_id: UUID, text: str) -> None:
    """The person changed a message that nobody has answered."""
    sealed = person.key.seal(text, row=message_id, column=_TEXT)
    session.execute(_REPLACE_TEXT, {"of_message": message_id, "new_text": sealed})


def release(
    session: Session,
    person: KnownPerson,
    conversation_id: UUID,
    message_ids: Sequence[UUID],
    *,
    postscript: str | None = None,
    now: datetime,
) -> UUID:
    """Add messages stored without a turn to the waiting turn, or open the next; returns the turn."""
    turn_id, _ = _waiting_turn(session, person, conversation_id, postscript=postscript, now=now)
    session.execute(_JOIN, {"message_ids": list(message_ids), "of_turn": turn_id})
    return turn_id


def store(
    session: Session,
    person: KnownPerson,
    message: InboundMessage,
    *,
    text: str | None,
    conversation_id: UUID | None = None,
    turn_id: UUID | None = None,
    expires_at: datetime | None = None,
    now: datetime,
) -> UUID:
    """Store a message, sealed. Without a turn the model never sees it; without a text only its mark is stored."""
    message_id = new_id()
    budgets.renew(session, person.id, message, now=now)
    session.execute(
        _STORE,
        {
            "id": message_id,
            "person_id": person.id,
            "conversation_id": conversation_id,
            "turn_id": turn_id,
            "channel": message.address.channel,
            "account": message.account,
            "external_id": message.external_id,
            "text": person.key.seal(text, row=message_id, column=_TEXT) if text is not None else None,
            "sent_at": message.sent_at,
            "received_at": now,
            "expires_at": expires_at,
        },
    )
    return message_id


def _begin_anew(
    session: Session, person: KnownPerson, turn_id: UUID, conversation_id: UUID, sealed: bytes | None, *, now: datetime
) -> UUID:
    """Discard a turn that is being generated; its messages wait for another. Returns that one."""
    session.execute(_DISCARD, {"of_turn": turn_id, "now": now})
    after_commit.cancel(session, [turn_id])
    message_ids = session.scalars(_OF_TURN, {"of_turn": turn_id}).all()
    postscript = person.key.open(sealed, row=turn_id, column=_POSTSCRIPT) if sealed is not None else None
    return release(session, person, conversation_id, message_ids, postscript=postscript, now=now)


def _waiting_turn(
    session: Session,
    person: KnownPerson,
    conversation_id: UUID,
    *,
    postscript: str | None,
    held_until: datetime | None = None,
    now: datetime,
) -> tuple[UUID, bool]:
    """The turn that messages can join, and whether it was opened just now.

    One that is held is rung for when its time has come; words that are not held themselves end the wait.
    """
    last = session.execute(_LAST_TURN, {"conversation_id": conversation_id}).first()
    if held_until is None:
        after_commit.ring(session, conversation_id)
    if last is not None and last.state is TurnState.WAITING:
        if held_until is None and last.ring_count == HELD_RING_COUNT:
            session.execute(_END_HOLD, {"of_turn": last.id, "now": now})
        if postscript is not None:
            _add_postscript(session, person, last.id, postscript, before=last.postscript)
        return last.id, False
    turn_id = _open_turn(session, conversation_id, seq=last.seq + 1 if last else 1, held_until=held_until, now=now)
    if postscript is not None:
        _add_postscript(session, person, turn_id, postscript)
    return turn_id, True


def _add_postscript(
    session: Session, person: KnownPerson, turn_id: UUID, postscript: str, *, before: bytes | None = None
) -> None:
    if before is not None:
        postscript = f"{person.key.open(before, row=turn_id, column=_POSTSCRIPT)}\n\n{postscript}"
    sealed = person.key.seal(postscript, row=turn_id, column=_POSTSCRIPT)
    session.execute(_ADD_POSTSCRIPT, {"turn_id": turn_id, "new_postscript": sealed})


def _open_turn(
    session: Session, conversation_id: UUID, *, seq: int, held_until: datetime | None, now: datetime
) -> UUID:
    turn_id = new_id()
    session.execute(
        _OPEN_TURN,
        {
            "id": turn_id,
            "conversation_id": conversation_id,
            "seq": seq,
            "state": TurnState.WAITING,
            "attempt": 0,
            "rung_at": held_until or now,
            "ring_count": 1 if held_until is None else HELD_RING_COUNT,
            "created_at": now,
        },
    )
    return turn_id
