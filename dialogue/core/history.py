"""The history of a conversation, as stored; `dialogue.window` decides how much of it the model sees."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self
from uuid import UUID

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from care.texts import labels
from dialogue.broker.signals import PARTIAL_COLUMN
from dialogue.messages import Address
from dialogue.states import DeliveryKind, TurnState
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import CONVERSATIONS, DELIVERIES, MESSAGES, PEOPLE, TURNS

_Row = Row[*tuple[Any, ...]]
_ANSWERED = select(TURNS.c.id, TURNS.c.reply, TURNS.c.postscript).where(
    TURNS.c.conversation_id == bindparam("conversation_id"), TURNS.c.state == TurnState.ANSWERED
)
_NEWEST = _ANSWERED.order_by(TURNS.c.seq.desc()).limit(bindparam("max_turns"))
_FIRST = _ANSWERED.order_by(TURNS.c.seq).limit(1)
# what we said ourselves to somebody in danger, and to which words
_SCRIPTS = (
    select(
        DELIVERIES.c.id,
        DELIVERIES.c.text,
        MESSAGES.c.id.label("message_id"),
        MESSAGES.c.text.label("words"),
        MESSAGES.c.turn_id,
        TURNS.c.state.label("turn_state"),
    )
    .join(MESSAGES, MESSAGES.c.id == DELIVERIES.c.message_id)
    .outerjoin(TURNS, TURNS.c.id == MESSAGES.c.turn_id)
    .where(
        DELIVERIES.c.conversation_id == bindparam("conversation_id"),
        DELIVERIES.c.kind == DeliveryKind.CRISIS,
        DELIVERIES.c.text.is_not(None),
        MESSAGES.c.text.is_not(None),
        MESSAGES.c.expires_at.is_(None),
    )
)
_NEWEST_SCRIPTS = _SCRIPTS.order_by(DELIVERIES.c.id.desc()).limit(bindparam("max_scripts"))
_SCRIPTS_A_TURN = 4  # at most: a truth, a step, the advice for minors, and what was split
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


def past_turns(
    session: Session, key: PersonKey, conversation_id: UUID, *, max_turns: int, has_scripts: bool = False
) -> list[PastTurn]:
    """The first and the last exchanges, oldest first, `max_turns` in all: enough for any window.

    `has_scripts`: what we said ourselves in danger is part of them, as the supporter's words: before the reply of its
    turn, or as the only answer where the model was not asked.
    """
    place = {"conversation_id": conversation_id}
    turns = session.execute(_NEWEST, {**place, "max_turns": max_turns}).all()[::-1]
    if len(turns) == max_turns:
        turns = [session.execute(_FIRST, place).one(), *turns[1:]]
    words = words_of(session, key, [turn.id for turn in turns])
    scripts = _Scripts.read(session, key, conversation_id, max_turns) if has_scripts else _Scripts()
    exchanges = {
        turn.id: PastTurn(words[turn.id], "\n".join([*scripts.of_turn(turn.id), *_said(key, turn)]))
        for turn in turns
        if turn.reply is not None
    }
    exchanges |= scripts.alone(key)
    in_order = [exchange for _, exchange in sorted(exchanges.items())]
    latest = in_order[max(1, len(in_order) - max_turns + 1) :]
    return [*in_order[:1], *latest]


def _said(key: PersonKey, turn: _Row) -> Iterator[str]:
    """The reply and what stood behind it, without the label."""
    yield key.open(turn.reply, row=turn.id, column="turns.reply")
    if turn.postscript is not None:
        behind = key.open(turn.postscript, row=turn.id, column="turns.postscript").split("\n\n")
        yield from (paragraph for paragraph in behind if paragraph not in labels())


@dataclass(frozen=True, slots=True)
class _Scripts:
    """What we said ourselves, oldest first; each beside the message that it answered."""

    rows: Sequence[_Row] = ()
    texts: dict[UUID, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, session: Session, key: PersonKey, conversation_id: UUID, max_turns: int) -> Self:
        values = {"conversation_id": conversation_id, "max_scripts": max_turns * _SCRIPTS_A_TURN}
        rows = session.execute(_NEWEST_SCRIPTS, values).all()[::-1]
        return cls(rows, {row.id: key.open(row.text, row=row.id, column="deliveries.text") for row in rows})

    def of_turn(self, turn_id: UUID) -> list[str]:
        return [self.texts[row.id] for row in self.rows if row.turn_id == turn_id]

    def alone(self, key: PersonKey) -> dict[UUID, PastTurn]:
        """Exchanges in which the model had no part, by message: it was not asked, or silenced."""
        by_message: dict[UUID, list[_Row]] = defaultdict(list)
        for row in self.rows:
            if row.turn_state in {None, TurnState.DISCARDED}:
                by_message[row.message_id].append(row)
        return {
            message_id: PastTurn(
                key.open(rows[0].words, row=message_id, column="messages.text"),
                "\n".join(self.texts[row.id] for row in rows),
            )
            for message_id, rows in by_message.items()
        }


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
