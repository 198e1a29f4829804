"""Storing what people write. The person must be locked, which makes repeats and the order of turns free of races."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from dialogue.ids import new_id
from dialogue.messages import InboundMessage
from dialogue.people import KnownPerson
from dialogue.states import OPEN_TURN_STATES, TurnState
from dialogue.tables import MESSAGES, TURNS

_REPEAT = select(MESSAGES.c.id).where(
    MESSAGES.c.channel == bindparam("channel"),
    MESSAGES.c.account == bindparam("account"),
    MESSAGES.c.external_id == bindparam("external_id"),
)
_STATE_OF_WORDS = (
    select(MESSAGES.c.id, TURNS.c.state)
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
# locked, so that a worker which claims it now either sees the message that joins it, or has it first
_LAST_TURN = (
    select(TURNS.c.id, TURNS.c.seq, TURNS.c.state)
    .where(TURNS.c.conversation_id == bindparam("conversation_id"))
    .order_by(TURNS.c.seq.desc())
    .limit(1)
    .with_for_update(key_share=True)
)
_OPEN_TURN = insert(TURNS)
_ADD_POSTSCRIPT = update(TURNS).where(TURNS.c.id == bindparam("turn_id")).values(postscript=bindparam("new_postscript"))
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
    """Whether that earlier message of the same account was answered, refused or obeyed already."""
    place = {"channel": message.address.channel, "account": message.account, "external_id": external_id}
    stored = session.execute(_STATE_OF_WORDS, place).first()
    return stored is not None and stored.state not in OPEN_TURN_STATES


def is_burst(session: Session, person: KnownPerson, *, mark: str, now: datetime) -> bool:
    """Whether the person's last message was stored as that `mark` and came within the last minute."""
    newest = session.execute(_NEWEST, {"of_person": person.id}).first()
    if newest is None or newest.text is None or now - newest.received_at > _BURST:
        return False
    return person.key.open(newest.text, row=newest.id, column="messages.text") == mark


def hear(
    session: Session,
    person: KnownPerson,
    message: InboundMessage,
    conversation_id: UUID,
    *,
    text: str,
    postscript: str | None = None,
    now: datetime,
) -> Received:
    """Let a message with the cleaned `text` join the waiting turn of its open conversation, or open the next turn.

    `postscript` is what we add in our own words when that turn is answered.
    """
    last = session.execute(_LAST_TURN, {"conversation_id": conversation_id}).first()
    is_joining = last is not None and last.state is TurnState.WAITING
    if last is not None and is_joining:
        turn_id = last.id
    else:
        turn_id = _open_turn(session, conversation_id, seq=last.seq + 1 if last else 1, now=now)
    if postscript is not None:
        sealed = person.key.seal(postscript, row=turn_id, column="turns.postscript")
        session.execute(_ADD_POSTSCRIPT, {"turn_id": turn_id, "new_postscript": sealed})
    message_id = store(session, person, message, text=text, conversation_id=conversation_id, turn_id=turn_id, now=now)
    return Received(message_id=message_id, conversation_id=conversation_id, turn_id=turn_id, is_new_turn=not is_joining)


def store(
    session: Session,
    person: KnownPerson,
    message: InboundMessage,
    *,
    text: str,
    conversation_id: UUID | None = None,
    turn_id: UUID | None = None,
    now: datetime,
) -> UUID:
    """Store a message, sealed; without a turn it is one that the model never sees."""
    message_id = new_id()
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
            "text": person.key.seal(text, row=message_id, column="messages.text"),
            "sent_at": message.sent_at,
            "received_at": now,
        },
    )
    return message_id


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
