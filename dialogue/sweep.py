"""Finds what nobody rang for: turns that wait, turns whose worker died, texts whose courier died.

Any number of processes may sweep; each turn is rung by one of them, at growing intervals.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, update
from sqlalchemy.orm import Session, aliased

from dialogue import outbox, people
from dialogue.messages import Address
from dialogue.states import OPEN_TURN_STATES, DeliveryKind, TurnState
from dialogue.tables import Conversation, Turn
from dialogue.vault import MasterKeys

RING_SECONDS = 2.0
MAX_RING_SECONDS = 32.0
_DOUBLINGS = 4  # 2, 4, 8, 16, 32 seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep found: conversations to ring for, channels that now owe a text, and a count for the metrics."""

    conversation_ids: list[UUID]
    channels: set[str]
    abandoned_count: int


def sweep(session: Session, keys: MasterKeys, *, apology: str, max_attempts: int, now: datetime) -> Swept:
    """Look once. `apology` is what a person gets whose turn failed `max_attempts` times."""
    channels = _fail_hopeless(session, keys, apology, max_attempts, now)
    abandoned_count = outbox.settle_abandoned(session, now=now)
    return Swept(conversation_ids=_due(session, now), channels=channels, abandoned_count=abandoned_count)


def _due(session: Session, now: datetime) -> list[UUID]:
    """Marks what it returns as rung. The condition is repeated outside: a second sweep that waited sees it."""
    earlier = aliased(Turn)
    is_head = ~exists().where(
        earlier.conversation_id == Turn.conversation_id,
        earlier.state.in_(OPEN_TURN_STATES),
        earlier.seq < Turn.seq,
    )
    is_orphan = and_(Turn.state == TurnState.GENERATING, Turn.lease_until <= now)
    is_unheard = or_(Turn.state == TurnState.WAITING, is_orphan)
    rows = session.execute(
        update(Turn)
        .where(is_unheard, is_head, _is_silent(now))
        .values(rung_at=now, ring_count=Turn.ring_count + 1)
        .returning(Turn.conversation_id)
    )
    return [conversation_id for (conversation_id,) in rows]


def _is_silent(now: datetime) -> ColumnElement[bool]:
    """Nobody rang since it was given back, or the n-th ring was long enough ago (doubled each time)."""
    waits = [RING_SECONDS * 2**doublings for doublings in range(_DOUBLINGS)]
    rung_long_ago = [
        and_(Turn.ring_count == count, Turn.rung_at <= now - timedelta(seconds=wait))
        for count, wait in enumerate(waits, start=1)
    ]
    rung_often = and_(Turn.ring_count > _DOUBLINGS, Turn.rung_at <= now - timedelta(seconds=MAX_RING_SECONDS))
    return or_(Turn.ring_count == 0, *rung_long_ago, rung_often)


def _fail_hopeless(session: Session, keys: MasterKeys, apology: str, max_attempts: int, now: datetime) -> set[str]:
    """A turn that was tried too often and has no live owner fails with an apology."""
    hopeless = session.execute(
        update(Turn)
        .where(Turn.state == TurnState.GENERATING, Turn.lease_until <= now, Turn.attempt >= max_attempts)
        .values(state=TurnState.FAILED, error="attempts", finished_at=now)
        .returning(Turn.id, Turn.conversation_id)
    ).all()
    return {
        _apologise(session, keys, apology, turn_id=turn_id, conversation_id=conversation_id, now=now)
        for turn_id, conversation_id in hopeless
    }


def _apologise(
    session: Session, keys: MasterKeys, apology: str, *, turn_id: UUID, conversation_id: UUID, now: datetime
) -> str:
    conversation = session.get_one(Conversation, conversation_id)
    outbox.owe(
        session,
        people.key_of(session, keys, conversation.person_id),
        person_id=conversation.person_id,
        address=Address(channel=conversation.channel, chat_id=conversation.chat_id),
        text=apology,
        kind=DeliveryKind.NOTICE,
        conversation_id=conversation_id,
        turn_id=turn_id,
        now=now,
    )
    return conversation.channel
