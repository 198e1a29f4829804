"""The queue of unclaimed turns, computed from the rows: each person's position, and whether they were told.

People in danger are never told a position: we answer them ourselves, at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import bindparam, exists, select
from sqlalchemy.orm import Session

from care.screening import Tier
from dialogue.core import people
from dialogue.core.outbox import WAITING_PART
from dialogue.errors import Erased, Unreadable, WrongSecretKey
from dialogue.messages import Address
from dialogue.states import DeliveryKind, DeliveryState, TurnState
from dialogue.storage import after_commit
from dialogue.storage.database import insert_or_ignore
from dialogue.storage.ids import new_id
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import CONVERSATIONS, DELIVERIES, TURNS

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MOST = 2000
"""People further back in the queue are told nothing."""

_BESIDE = TURNS.alias()
# answered from the partial indexes of open turns; in a conversation that is being answered nobody waits for a worker
_LINE = (
    select(
        TURNS.c.id,
        TURNS.c.created_at,
        TURNS.c.conversation_id,
        CONVERSATIONS.c.person_id,
        CONVERSATIONS.c.channel,
        CONVERSATIONS.c.account,
        CONVERSATIONS.c.chat_id,
        CONVERSATIONS.c.tier,
    )
    .join(CONVERSATIONS, CONVERSATIONS.c.id == TURNS.c.conversation_id)
    .where(
        TURNS.c.state == TurnState.WAITING,
        ~exists().where(_BESIDE.c.conversation_id == TURNS.c.conversation_id, _BESIDE.c.state == TurnState.GENERATING),
    )
    .order_by(TURNS.c.created_at, TURNS.c.id)
    .limit(_MOST)
)
_TOLD = select(DELIVERIES.c.turn_id).where(
    DELIVERIES.c.turn_id.in_(bindparam("turn_ids", expanding=True)), DELIVERIES.c.part == WAITING_PART
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """One turn in the queue; `ahead` counts those before it, on all channels."""

    turn_id: UUID
    conversation_id: UUID
    person_id: UUID
    address: Address
    since: datetime
    ahead: int


def line(session: Session) -> list[QueueEntry]:
    """The waiting turns whose people may be told, oldest first."""
    return [
        QueueEntry(
            turn_id=row.id,
            conversation_id=row.conversation_id,
            person_id=row.person_id,
            address=Address.of(row),
            since=row.created_at,
            ahead=ahead,
        )
        for ahead, row in enumerate(session.execute(_LINE))
        if row.tier < Tier.ACTIVE
    ]


def tell(
    session: Session, keys: MasterKeys, channel: str, say: Callable[[int], str], *, since: datetime, now: datetime
) -> int:
    """Queue a message with their position for people on a channel waiting since `since` or longer, once per turn.

    Returns how many messages were queued. Whoever has a key that cannot be opened here is told nothing.
    """
    patient = [one for one in line(session) if one.address.channel == channel and one.since <= since]
    if not patient:
        return 0
    told = set(session.scalars(_TOLD, {"turn_ids": [one.turn_id for one in patient]}))
    news = [one for one in patient if one.turn_id not in told]
    wrapped = people.wrapped_keys_of(session, {one.person_id for one in news})
    queued_count = 0
    for one in news:
        try:
            key = keys.person_key(wrapped.get(one.person_id), one.person_id)
        except Erased:  # a moment ago
            continue
        except (WrongSecretKey, Unreadable) as error:  # of a rotation or a restored row: a place is no reason to end
            log.warning("queue_position_not_told", turn_id=str(one.turn_id), error=type(error).__name__)
            continue
        _owe(session, key, one, say(one.ahead), now)
        queued_count += 1
    return queued_count


def _owe(session: Session, key: PersonKey, standing: QueueEntry, text: str, now: datetime) -> None:
    delivery_id = new_id()
    insert_or_ignore(
        session,
        DELIVERIES,
        {
            "id": delivery_id,
            "person_id": standing.person_id,
            "conversation_id": standing.conversation_id,
            "turn_id": standing.turn_id,
            "part": WAITING_PART,
            "kind": DeliveryKind.NOTICE,
            **standing.address.columns(),
            "text": key.seal(text, row=delivery_id, column="deliveries.text"),
            "state": DeliveryState.PENDING,
            "attempt": 0,
            "next_attempt_at": now,
            "created_at": now,
        },
    )
    after_commit.owe(session, standing.address.channel)
