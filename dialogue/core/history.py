"""The history of a conversation, as stored; `dialogue.window` decides how much of it the model sees."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self
from uuid import UUID

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.orm import Session

from care.texts import labels
from dialogue.broker.signals import PARTIAL_COLUMN
from dialogue.messages import Address
from dialogue.states import DeliveryKind, TurnState
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import CONVERSATIONS, DELIVERIES, MESSAGES, PEOPLE, TURNS

_Row = Row[*tuple[Any, ...]]
_ANSWERED = select(TURNS.c.id, TURNS.c.conversation_id, TURNS.c.seq, TURNS.c.reply, TURNS.c.postscript).where(
    TURNS.c.state == TurnState.ANSWERED
)
_EARLIER = TURNS.alias()
_EARLIER_ANSWERED = select(_EARLIER.c.seq).where(
    _EARLIER.c.conversation_id == CONVERSATIONS.c.id, _EARLIER.c.state == TurnState.ANSWERED
)
# found from the end of each conversation, however long it is
_OLDEST_IN_WINDOW = (
    _EARLIER_ANSWERED.order_by(_EARLIER.c.seq.desc()).limit(1).offset(bindparam("others")).scalar_subquery()
)
_OF_CONVERSATIONS = CONVERSATIONS.c.id.in_(bindparam("conversation_ids", expanding=True))
_NEWEST = (
    _ANSWERED.join_from(TURNS, CONVERSATIONS, TURNS.c.conversation_id == CONVERSATIONS.c.id)
    .where(_OF_CONVERSATIONS, TURNS.c.seq >= func.coalesce(_OLDEST_IN_WINDOW, 0))
    .order_by(TURNS.c.seq)
)
_FIRST = _ANSWERED.join_from(TURNS, CONVERSATIONS, TURNS.c.conversation_id == CONVERSATIONS.c.id).where(
    _OF_CONVERSATIONS,
    TURNS.c.seq == _EARLIER_ANSWERED.order_by(_EARLIER.c.seq).limit(1).scalar_subquery(),
)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A conversation whose history is read. `has_scripts`: what we said ourselves in danger is part of it."""

    key: PersonKey = field(repr=False)
    has_scripts: bool = False


def past_turns(
    session: Session, key: PersonKey, conversation_id: UUID, *, max_turns: int, has_scripts: bool = False
) -> list[PastTurn]:
    """The history of one conversation; see `past_turns_of`."""
    told = Told(key=key, has_scripts=has_scripts)
    return past_turns_of(session, {conversation_id: told}, max_turns=max_turns)[conversation_id]


def past_turns_of(session: Session, told: Mapping[UUID, Told], *, max_turns: int) -> dict[UUID, list[PastTurn]]:
    """By conversation: its first and last exchanges, oldest first, `max_turns` in all: enough for any window.

    What we said ourselves in danger stands there as the supporter's words: before the reply of its turn, or as the only
    answer where the model was not asked.
    """
    return past_and_words(session, told, {}, max_turns=max_turns)[0]


def past_and_words(
    session: Session, told: Mapping[UUID, Told], open_turns: Mapping[UUID, PersonKey], *, max_turns: int
) -> tuple[dict[UUID, list[PastTurn]], dict[UUID, str]]:
    """`past_turns_of` these conversations, and by turn the words of these turns, whose keys are given."""
    turns = _turns_of(session, list(told), max_turns)
    keys = {turn.id: told[conversation_id].key for conversation_id, rows in turns.items() for turn in rows}
    words = words_of_many(session, keys | dict(open_turns))
    past = {
        conversation_id: _exchanges(
            session, conversation_id, each, turns[conversation_id], words=words, max_turns=max_turns
        )
        for conversation_id, each in told.items()
    }
    return past, words


def _turns_of(session: Session, conversation_ids: list[UUID], max_turns: int) -> dict[UUID, list[_Row]]:
    """Oldest first; of a longer conversation its first turn takes the place of the oldest."""
    found: dict[UUID, list[_Row]] = defaultdict(list)
    if not conversation_ids:
        return found
    of_these = {"conversation_ids": conversation_ids, "others": max_turns - 1}
    for turn in session.execute(_NEWEST, of_these):
        found[turn.conversation_id].append(turn)
    longer = [conversation_id for conversation_id, turns in found.items() if len(turns) == max_turns]
    if longer:
        for first in session.execute(_FIRST, {"conversation_ids": longer}):
            found[first.conversation_id][0] = first
    return found


def _exchanges(
    session: Session,
    conversation_id: UUID,
    told: Told,
    turns: Sequence[_Row],
    *,
    words: Mapping[UUID, str],
    max_turns: int,
) -> list[PastTurn]:
    key = told.key
    scripts = _Scripts.read(session, key, conversation_id, max_turns) if told.has_scripts else _Scripts()
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
    return words_of_many(session, dict.fromkeys(turn_ids, key))


def words_of_many(session: Session, keys: Mapping[UUID, PersonKey]) -> dict[UUID, str]:
    """The words of turns of several people, by turn; `keys` has the key of each turn's person."""
    if not keys:
        return {}
    words: dict[UUID, list[str]] = defaultdict(list)
    for turn_id, message_id, sealed in session.execute(_WORDS, {"turn_ids": list(keys)}):
        words[turn_id].append(keys[turn_id].open(sealed, row=message_id, column="messages.text"))
    return {turn_id: "\n".join(words[turn_id]) for turn_id in keys}


def open_partial(session: Session, keys: MasterKeys, turn_id: UUID, sealed: bytes) -> tuple[Address, str] | None:
    """A partial reply that a worker published, and its address; None for turns of another database."""
    place = session.execute(_PLACE_OF_TURN, {"turn_id": turn_id}).first()
    if place is None:
        return None
    key = keys.person_key(place.data_key, place.id)
    return Address.of(place), key.open(sealed, row=turn_id, column=PARTIAL_COLUMN)
