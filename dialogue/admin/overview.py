"""Are people being answered? Counts only rows that the partial indexes of open and failed rows hold."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dialogue.states import OPEN_DELIVERY_STATES, UNDELIVERED_STATES, DeliveryState, TurnState
from dialogue.tables import CONVERSATIONS, DELIVERIES, TURNS

LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Figures of one moment; failures are those of the last 24 hours.

    `held_count`: texts that wait for their person to write again.
    """

    waiting_count: int
    oldest_waiting_at: datetime | None
    generating_count: int
    owed_count: int
    oldest_owed_at: datetime | None
    held_count: int
    failed_turn_count: int
    failed_delivery_count: int
    open_by_tier: dict[int, int]
    taken_over_count: int

    @property
    def open_count(self) -> int:
        return sum(self.open_by_tier.values())


_WAITING = select(func.count(), func.min(TURNS.c.created_at)).where(TURNS.c.state == TurnState.WAITING)
_GENERATING = select(func.count()).where(TURNS.c.state == TurnState.GENERATING)
_OWED = select(func.count(), func.min(DELIVERIES.c.created_at)).where(DELIVERIES.c.state.in_(OPEN_DELIVERY_STATES))
_HELD = select(func.count()).where(DELIVERIES.c.state == DeliveryState.HELD)
_BY_TIER = select(CONVERSATIONS.c.tier, func.count()).where(CONVERSATIONS.c.closed_at.is_(None))
_TAKEN_OVER = select(func.count()).where(
    CONVERSATIONS.c.closed_at.is_(None), CONVERSATIONS.c.taken_over_by.is_not(None)
)


def overview(session: Session, *, now: datetime) -> Overview:
    """Its cost does not depend on how many conversations are stored."""
    waiting_count, oldest_waiting_at = session.execute(_WAITING).one()
    owed_count, oldest_owed_at = session.execute(_OWED).one()
    return Overview(
        waiting_count=waiting_count,
        oldest_waiting_at=oldest_waiting_at,
        generating_count=session.scalar(_GENERATING) or 0,
        owed_count=owed_count,
        oldest_owed_at=oldest_owed_at,
        held_count=session.scalar(_HELD) or 0,
        failed_turn_count=_count_failed_turns(session, since=now - LATELY),
        failed_delivery_count=_count_failed_deliveries(session, since=now - LATELY),
        open_by_tier=dict(session.execute(_BY_TIER.group_by(CONVERSATIONS.c.tier)).all()),
        taken_over_count=session.scalar(_TAKEN_OVER) or 0,
    )


def _count_failed_turns(session: Session, *, since: datetime) -> int:
    failed = select(func.count()).where(TURNS.c.state == TurnState.FAILED, TURNS.c.finished_at >= since)
    return session.scalar(failed) or 0


def _count_failed_deliveries(session: Session, *, since: datetime) -> int:
    is_undelivered = DELIVERIES.c.state.in_(UNDELIVERED_STATES)
    failed = select(func.count()).where(is_undelivered, DELIVERIES.c.created_at >= since)
    return session.scalar(failed) or 0
