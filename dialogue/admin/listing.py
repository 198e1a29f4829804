"""Lists conversations without their texts: by page, newest first, or the open ones by risk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session

from care.age import AgeBand
from dialogue.states import OPEN_TURN_STATES, UNDELIVERED_STATES, ClosedBy
from dialogue.tables import CASES, CONVERSATIONS, DELIVERIES, PEOPLE, TURNS


class ConversationStatus(StrEnum):
    """State of a conversation as staff see it; `waiting` and `taken_over` are open as well."""

    OPEN = "open"
    WAITING = "waiting"  # its person waits for an answer
    TAKEN_OVER = "taken_over"  # a human answers
    CLOSED = "closed"


class Cursor(NamedTuple):
    """The last conversation of a page."""

    opened_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A filter: a conversation must match every field that is given."""

    channel: str | None = None
    standing: ConversationStatus | None = None
    min_tier: int = 0
    opened_from: datetime | None = None
    opened_before: datetime | None = None
    person_id: UUID | None = None
    assigned_to: str | None = None
    is_unassigned: bool = False
    is_minor: bool = False
    has_open_case: bool = False
    is_unattended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One conversation."""

    id: UUID
    person_id: UUID
    channel: str
    user_id: str
    chat_id: str
    epoch: int
    tier: int
    opened_at: datetime
    closed_at: datetime | None
    closed_by: ClosedBy | None
    taken_over_by: str | None
    taken_over_at: datetime | None
    release_asked_by: str | None
    assigned_to: str | None
    blocked_at: datetime | None
    age_band: AgeBand | None
    turn_count: int
    last_turn_at: datetime | None
    is_waiting: bool
    failed_delivery_count: int

    @property
    def is_minor(self) -> bool:
        return self.age_band in (AgeBand.CHILD, AgeBand.MINOR)

    @property
    def standing(self) -> ConversationStatus:
        if self.closed_at is not None:
            return ConversationStatus.CLOSED
        if self.taken_over_by is not None:
            return ConversationStatus.TAKEN_OVER
        return ConversationStatus.WAITING if self.is_waiting else ConversationStatus.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of conversations, and the cursor of the next page, if there is one."""

    conversations: list[Listed]
    next: Cursor | None


_COLUMNS = (
    CONVERSATIONS.c.id,
    CONVERSATIONS.c.person_id,
    CONVERSATIONS.c.channel,
    PEOPLE.c.user_id,
    CONVERSATIONS.c.chat_id,
    CONVERSATIONS.c.epoch,
    CONVERSATIONS.c.tier,
    CONVERSATIONS.c.opened_at,
    CONVERSATIONS.c.closed_at,
    CONVERSATIONS.c.closed_by,
    CONVERSATIONS.c.taken_over_by,
    CONVERSATIONS.c.taken_over_at,
    CONVERSATIONS.c.release_asked_by,
    CONVERSATIONS.c.assigned_to,
    PEOPLE.c.blocked_at,
    PEOPLE.c.age_band,
)
_ALL = select(*_COLUMNS).join(PEOPLE, PEOPLE.c.id == CONVERSATIONS.c.person_id)
_PLACE = (CONVERSATIONS.c.opened_at, CONVERSATIONS.c.id)
_NEWEST_FIRST = (CONVERSATIONS.c.opened_at.desc(), CONVERSATIONS.c.id.desc())
_WITH_OPEN_TURN = select(TURNS.c.conversation_id).where(TURNS.c.state.in_(OPEN_TURN_STATES))


def page(session: Session, wanted: Wanted, *, after: Cursor | None = None, limit: int = 50) -> Page:
    """The newest conversations that match, or those after the cursor."""
    query = fitting(wanted).order_by(*_NEWEST_FIRST).limit(limit + 1)
    if after is not None:
        query = query.where(tuple_(*_PLACE) < tuple_(*after))
    rows = session.execute(query).mappings().all()
    shown = described(session, rows[:limit])
    return Page(
        conversations=shown, next=Cursor(shown[-1].opened_at, shown[-1].id) if len(rows) > limit and shown else None
    )


def by_risk(session: Session, *, limit: int = 10) -> list[Listed]:
    """Open conversations: highest tier first, then newest first."""
    query = _ALL.where(CONVERSATIONS.c.closed_at.is_(None)).order_by(CONVERSATIONS.c.tier.desc(), *_NEWEST_FIRST)
    return described(session, session.execute(query.limit(limit)).mappings().all())


def one(session: Session, conversation_id: UUID) -> Listed | None:
    """That conversation, if there is one."""
    rows = session.execute(_ALL.where(CONVERSATIONS.c.id == conversation_id)).mappings().all()
    return next(iter(described(session, rows)), None)


def fitting(wanted: Wanted) -> Select[Any]:
    """The columns that `described` needs, of what matches; in no order."""
    query = _ALL
    if wanted.channel is not None:
        query = query.where(CONVERSATIONS.c.channel == wanted.channel)
    if wanted.min_tier > 0:
        # said twice: the first is the condition of the index of those at risk
        query = query.where(CONVERSATIONS.c.tier > 0, CONVERSATIONS.c.tier >= wanted.min_tier)
    if wanted.opened_from is not None:
        query = query.where(CONVERSATIONS.c.opened_at >= wanted.opened_from)
    if wanted.opened_before is not None:
        query = query.where(CONVERSATIONS.c.opened_at < wanted.opened_before)
    if wanted.person_id is not None:
        query = query.where(CONVERSATIONS.c.person_id == wanted.person_id)
    return _standing(_beside(query, wanted), wanted.standing)


def _beside(query: Select[Any], wanted: Wanted) -> Select[Any]:
    """What is not in the conversation's own row, or seldom asked."""
    if wanted.assigned_to is not None:
        query = query.where(CONVERSATIONS.c.closed_at.is_(None), CONVERSATIONS.c.assigned_to == wanted.assigned_to)
    if wanted.is_unassigned:
        query = query.where(CONVERSATIONS.c.closed_at.is_(None), CONVERSATIONS.c.assigned_to.is_(None))
    if wanted.is_minor:
        query = query.where(PEOPLE.c.age_band.in_((AgeBand.CHILD, AgeBand.MINOR)))
    if wanted.has_open_case or wanted.is_unattended:
        cases = select(CASES.c.conversation_id).where(CASES.c.closed_at.is_(None), CASES.c.conversation_id.is_not(None))
        if wanted.is_unattended:
            cases = cases.where(CASES.c.waits_since.is_not(None))
        query = query.where(CONVERSATIONS.c.id.in_(cases))
    return query


def _standing(query: Select[Any], standing: ConversationStatus | None) -> Select[Any]:
    is_open = CONVERSATIONS.c.closed_at.is_(None)
    match standing:
        case None:
            return query
        case ConversationStatus.CLOSED:
            return query.where(CONVERSATIONS.c.closed_at.is_not(None))
        case ConversationStatus.OPEN:
            return query.where(is_open)
        case ConversationStatus.TAKEN_OVER:
            return query.where(is_open, CONVERSATIONS.c.taken_over_by.is_not(None))
        case ConversationStatus.WAITING:
            return query.where(is_open, CONVERSATIONS.c.id.in_(_WITH_OPEN_TURN))


def described(session: Session, rows: Sequence[Mapping[Any, Any]]) -> list[Listed]:
    """With what is counted for each of them."""
    ids = [row["id"] for row in rows]
    if not ids:
        return []
    turns, waiting, failed = _last_turns(session, ids), _waiting(session, ids), _failed_deliveries(session, ids)
    return [
        Listed(
            **row,
            turn_count=turns.get(row["id"], (0, None))[0],
            last_turn_at=turns.get(row["id"], (0, None))[1],
            is_waiting=row["id"] in waiting,
            failed_delivery_count=failed.get(row["id"], 0),
        )
        for row in rows
    ]


def _last_turns(session: Session, ids: list[UUID]) -> dict[UUID, tuple[int, datetime | None]]:
    last = (
        select(TURNS.c.conversation_id, func.max(TURNS.c.seq).label("seq"))
        .where(TURNS.c.conversation_id.in_(ids))
        .group_by(TURNS.c.conversation_id)
        .subquery()
    )
    query = select(TURNS.c.conversation_id, TURNS.c.seq, TURNS.c.created_at).join(
        last, (last.c.conversation_id == TURNS.c.conversation_id) & (last.c.seq == TURNS.c.seq)
    )
    return {conversation_id: (seq, created_at) for conversation_id, seq, created_at in session.execute(query)}


def _waiting(session: Session, ids: list[UUID]) -> set[UUID]:
    return set(session.scalars(_WITH_OPEN_TURN.where(TURNS.c.conversation_id.in_(ids))))


def _failed_deliveries(session: Session, ids: list[UUID]) -> dict[UUID, int]:
    query = (
        select(DELIVERIES.c.conversation_id, func.count())
        .where(DELIVERIES.c.conversation_id.in_(ids), DELIVERIES.c.state.in_(UNDELIVERED_STATES))
        .group_by(DELIVERIES.c.conversation_id)
    )
    return dict(session.execute(query).all())
