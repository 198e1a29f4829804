"""Stores inbound messages. The person must be locked: that makes deduplication and turn order race-free."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from dialogue.core import budgets
from dialogue.core.people import KnownPerson
from dialogue.messages import InboundMessage
from dialogue.states import OPEN_TURN_STATES, TurnState
from dialogue.storage import after_commit
from dialogue.storage.ids import new_id
from dialogue.tables import MESSAGES, TURNS

_REPEAT = select(MESSAGES.c.id).where(
    MESSAGES.c.channel == bindparam("channel"),
    MESSAGES.c.account == bindparam("account"),
    MESSAGES.c.external_id == bindparam("external_id"),
)
_STATE_OF_WORDS = (
    select(MESSAGES.c.id, MESSAGES.c.expires_at, TURNS.c.state)
    .outerjoin(TURNS, TURNS.c.id == MESSAGES.c.turn_id)
    .where(
        MESSAGES.c.channel == bindparam("channel"),
        MESSAGES.c.account == bindparam("account"),
        MESSAGES.c.external_id == bindparam("external_id"),
    )
)
_NEWEST = (
    select(MESSAGES.c.id, MESSAGES.c.text, MESSAGES.c.received_at)
    .where(MESSAGES.c.person_id == bindparam("of_person"))
    .order_by(MESSAGES.c.id.desc())
    .limit(1)
)
_STORE = insert(MESSAGES)
# locked: a worker claiming it now either sees the joining message or claimed it before
_LAST_TURN = (
    select(TURNS.c.id, TURNS.c.seq, TURNS.c.state, TURNS.c.postscript)
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
_POSTSCRIPT = "turns.postscript"
_BURST = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Where a message went."""

    message_id: UUID
    conversation_id: UUID
    turn_id: UUID
    is_new_turn: bool


def is_repeat(session: Session, message: InboundMessage) -> bool:
    """Whether this external id was stored before."""
    place = {"channel": message.address.channel, "account": message.account, "external_id": message.external_id}
    return session.scalar(_REPEAT, place) is not None


def is_settled(session: Session, message: InboundMessage, *, external_id: str) -> bool:
    """Whether an earlier message of the same account was already answered, refused or obeyed.

    A message that waits for consent was not.
    """
    place = {"channel": message.address.channel, "account": message.account, "external_id": external_id}
    stored = session.execute(_STATE_OF_WORDS, place).first()
    return stored is not None and stored.expires_at is None and stored.state not in OPEN_TURN_STATES


def is_burst(session: Session, person: KnownPerson, *, mark: str, now: datetime, within: timedelta = _BURST) -> bool:
    """Whether the person's last message was stored as that `mark`, no longer ago than `within`."""
    newest = session.execute(_NEWEST, {"of_person": person.id}).first()
    if newest is None or newest.text is None or now - newest.received_at > within:
        return False
    return person.key.open(newest.text, row=newest.id, column="messages.text") == mark


def append_to_turn(
    session: Session,
    person: KnownPerson,
    message: InboundMessage,
    conversation_id: UUID,
    *,
    text: str,
    postscript: str | None = None,
    now: datetime,
) -> Received:
    """Add a message with the cleaned `text` to the waiting turn of its open conversation, or open the next turn.

    `postscript` is appended to the reply, in our own words.
    """
    turn_id, is_new = _waiting_turn(session, person, conversation_id, postscript=postscript, now=now)
    message_id = store(session, person, message, text=text, conversation_id=conversation_id, turn_id=turn_id, now=now)
    return Received(message_id=message_id, conversation_id=conversation_id, turn_id=turn_id, is_new_turn=is_new)


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
            "text": person.key.seal(text, row=message_id, column="messages.text") if text is not None else None,
            "sent_at": message.sent_at,
            "received_at": now,
            "expires_at": expires_at,
        },
    )
    return message_id


def _waiting_turn(
    session: Session, person: KnownPerson, conversation_id: UUID, *, postscript: str | None, now: datetime
) -> tuple[UUID, bool]:
    """The turn that messages can join, and whether it was opened just now."""
    last = session.execute(_LAST_TURN, {"conversation_id": conversation_id}).first()
    after_commit.ring(session, conversation_id)
    if last is not None and last.state is TurnState.WAITING:
        if postscript is not None:
            _add_postscript(session, person, last.id, postscript, before=last.postscript)
        return last.id, False
    turn_id = _open_turn(session, conversation_id, seq=last.seq + 1 if last else 1, now=now)
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


def _open_turn(session: Session, conversation_id: UUID, *, seq: int, now: datetime) -> UUID:
    turn_id = new_id()
    session.execute(
        _OPEN_TURN,
        {
            "id": turn_id,
            "conversation_id": conversation_id,
            "seq": seq,
            "state": TurnState.WAITING,
            "attempt": 0,
            "rung_at": now,
            "ring_count": 1,
            "created_at": now,
        },
    )
    return turn_id
