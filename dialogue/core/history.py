"""The history of a conversation, as stored; `dialogue.window` decides how much of it the model sees."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from dialogue.broker.signals import PARTIAL_COLUMN
from dialogue.messages import Address
from dialogue.states import TurnState
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import CONVERSATIONS, MESSAGES, PEOPLE, TURNS

_ANSWERED = select(TURNS.c.id, TURNS.c.reply).where(
    TURNS.c.conversation_id == bindparam("conversation_id"), TURNS.c.state == TurnState.ANSWERED
)
_NEWEST = _ANSWERED.order_by(TURNS.c.seq.desc()).limit(bindparam("max_turns"))
_FIRST = _ANSWERED.order_by(TURNS.c.seq).limit(1)
_WORDS = (
    select(MESSAGES.c.turn_id, MESSAGES.c.id, MESSAGES.c.text)
    .where(MESSAGES.c.turn_id.in_(bindparam("turn_ids", expanding=True)), MESSAGES.c.text.is_not(None))
    .order_by(MESSAGES.c.id)
)
_PLACE_OF_TURN = (
    select(CONVERSATIONS.c.channel, CONVERSATIONS.c.account, CONVERSATIONS.c.chat_id, PEOPLE.c.id, PEOPLE.c.data_key)
    .join(TURNS, TURNS.c.conversation_id == CONVERSATIONS.c.id)
    .join(PEOPLE, PEOPLE.c.id == CONVERSATIONS.c.person_id)
    .where(TURNS.c.id == bindparam("turn_id"))
)


class PastTurn(NamedTuple):
    """One answered turn: the person's words and the reply to them."""

    text: str
    reply: str


def past_turns(session: Session, key: PersonKey, conversation_id: UUID, *, max_turns: int) -> list[PastTurn]:
    """The first and the last answered turns, oldest first, `max_turns` in all: enough for any window."""
    place = {"conversation_id": conversation_id}
    turns = session.execute(_NEWEST, {**place, "max_turns": max_turns}).all()[::-1]
    if len(turns) == max_turns:
        turns = [session.execute(_FIRST, place).one(), *turns[1:]]
    words = words_of(session, key, [turn.id for turn in turns])
    return [
        PastTurn(words[turn.id], key.open(turn.reply, row=turn.id, column="turns.reply"))
        for turn in turns
        if turn.reply is not None
    ]


def words_of(session: Session, key: PersonKey, turn_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The person's words of each turn: its messages in the order of arrival, joined by line ends."""
    if not turn_ids:
        return {}
    words: dict[UUID, list[str]] = defaultdict(list)
    for turn_id, message_id, sealed in session.execute(_WORDS, {"turn_ids": turn_ids}):
        words[turn_id].append(key.open(sealed, row=message_id, column="messages.text"))
    return {turn_id: "\n".join(words[turn_id]) for turn_id in turn_ids}


def open_partial(session: Session, keys: MasterKeys, turn_id: UUID, sealed: bytes) -> tuple[Address, str] | None:
    """A partial reply that a worker published, and its address; None for turns of another database."""
    place = session.execute(_PLACE_OF_TURN, {"turn_id": turn_id}).first()
    if place is None:
        return None
    key = keys.person_key(place.data_key, place.id)
    return Address.of(place), key.open(sealed, row=turn_id, column=PARTIAL_COLUMN)
