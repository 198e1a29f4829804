"""What was said before, whole in the database; the window decides how much of it the model sees."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from dialogue.messages import Address
from dialogue.signals import PARTIAL_COLUMN
from dialogue.states import TurnState
from dialogue.tables import Conversation, Message, Person, Turn
from dialogue.vault import MasterKeys, PersonKey


class PastTurn(NamedTuple):
    """One answered turn: the person's words and the reply to them."""

    text: str
    reply: str


def past_turns(session: Session, key: PersonKey, conversation_id: UUID, *, max_turns: int) -> list[PastTurn]:
    """The first answered turn and the last ones, oldest first, `max_turns` in all: what no window can exceed."""
    answered = select(Turn.id, Turn.seq, Turn.reply).where(
        Turn.conversation_id == conversation_id, Turn.state == TurnState.ANSWERED
    )
    newest = session.execute(answered.order_by(Turn.seq.desc()).limit(max_turns)).all()[::-1]
    if len(newest) == max_turns:
        newest = [*session.execute(answered.order_by(Turn.seq).limit(1)), *newest[1:]]
    words = words_of(session, key, [turn.id for turn in newest])
    return [
        PastTurn(words[turn.id], key.open(turn.reply, row=turn.id, column="turns.reply"))
        for turn in newest
        if turn.reply is not None
    ]


def open_partial(session: Session, keys: MasterKeys, turn_id: UUID, sealed: bytes) -> tuple[Address, str] | None:
    """A growing reply that a worker published, and where it belongs; None for turns of another database."""
    row = session.execute(
        select(Conversation.channel, Conversation.chat_id, Person.id, Person.data_key)
        .join(Turn, Turn.conversation_id == Conversation.id)
        .join(Person, Person.id == Conversation.person_id)
        .where(Turn.id == turn_id)
    ).first()
    if row is None:
        return None
    key = keys.person_key(row.data_key, row.id)
    return Address(channel=row.channel, chat_id=row.chat_id), key.open(sealed, row=turn_id, column=PARTIAL_COLUMN)


def words_of(session: Session, key: PersonKey, turn_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The person's words of each turn: its messages in the order of arrival, joined by line ends."""
    if not turn_ids:
        return {}
    rows = session.execute(
        select(Message.turn_id, Message.id, Message.text).where(Message.turn_id.in_(turn_ids)).order_by(Message.id)
    )
    words: dict[UUID, list[str]] = defaultdict(list)
    for turn_id, message_id, sealed in rows:
        if turn_id is not None and sealed is not None:
            words[turn_id].append(key.open(sealed, row=message_id, column="messages.text"))
    return {turn_id: "\n".join(words[turn_id]) for turn_id in turn_ids}
