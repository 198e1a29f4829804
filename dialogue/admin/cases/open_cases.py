"""The cases that are open: who needs a human first, and whether anybody is unattended. Without any words."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Action, Entry
from dialogue.states import CaseKind, CaseOutcome
from dialogue.tables import CASES, CONVERSATIONS, PEOPLE

RISKY_TIER = 2
"""From here on a human must look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyCase:
    """One case, as staff see it. `called`: whom the escalation list reached last."""

    id: UUID
    kind: CaseKind
    level: int
    person_id: UUID
    conversation_id: UUID | None
    channel: str
    user_id: str
    is_erased: bool
    tier: int
    taken_over_by: str | None
    opened_at: datetime
    raised_at: datetime
    raise_count: int
    seen_by: str | None
    seen_at: datetime | None
    taken_by: str | None
    taken_at: datetime | None
    waits_since: datetime | None
    called: str | None
    call_count: int
    closed_by: str | None
    closed_at: datetime | None
    outcome: CaseOutcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unattended:
    """How many people nobody attends to, and how many of them for too long."""

    count: int
    overdue_count: int
    oldest_at: datetime | None


_STEPS = tuple(action for action in Action if action.startswith("case_"))
_COLUMNS = (
    *(
        CASES.c[name]
        for name in DutyCase.__slots__
        if name not in {"channel", "user_id", "is_erased", "tier", "taken_over_by"}
    ),
    PEOPLE.c.channel,
    PEOPLE.c.user_id,
    PEOPLE.c.erased_at.is_not(None).label("is_erased"),
    func.coalesce(CONVERSATIONS.c.tier, 0).label("tier"),
    CONVERSATIONS.c.taken_over_by,
)
_CASES = (
    select(*_COLUMNS)
    .join(PEOPLE, PEOPLE.c.id == CASES.c.person_id)
    .outerjoin(CONVERSATIONS, CONVERSATIONS.c.id == CASES.c.conversation_id)
)
_IS_OPEN = CASES.c.closed_at.is_(None)
MOST_URGENT_FIRST = (CASES.c.waits_since.is_(None), CASES.c.level.desc(), CASES.c.waits_since, CASES.c.opened_at)
_WAITING = select(func.count(), func.min(CASES.c.waits_since)).where(_IS_OPEN, CASES.c.waits_since.is_not(None))
_WITHOUT_CASE = select(func.count(), func.min(CONVERSATIONS.c.opened_at)).where(
    CONVERSATIONS.c.closed_at.is_(None),
    CONVERSATIONS.c.tier >= RISKY_TIER,
    CONVERSATIONS.c.taken_over_by.is_(None),
    ~exists().where(CASES.c.conversation_id == CONVERSATIONS.c.id),
    ~exists().where(CASES.c.person_id == CONVERSATIONS.c.person_id, _IS_OPEN),
)


def open_cases(session: Session, *, limit: int = 200) -> list[DutyCase]:
    """Those nobody attends to first, by danger and then by how long; then the others."""
    return _read(session, _CASES.where(_IS_OPEN).order_by(*MOST_URGENT_FIRST).limit(limit))


def closed_cases(session: Session, *, before: datetime | None = None, limit: int = 50) -> list[DutyCase]:
    """The newest closed ones, or those closed before that moment."""
    query = _CASES.where(CASES.c.closed_at.is_not(None)).order_by(CASES.c.closed_at.desc()).limit(limit)
    return _read(session, query.where(CASES.c.closed_at < before) if before is not None else query)


def one(session: Session, case_id: UUID) -> DutyCase | None:
    """That case, open or closed."""
    return next(iter(_read(session, _CASES.where(CASES.c.id == case_id))), None)


def of_person(session: Session, person_id: UUID, *, limit: int = 20) -> list[DutyCase]:
    """All cases of one person, newest first."""
    return _read(session, _CASES.where(CASES.c.person_id == person_id).order_by(CASES.c.opened_at.desc()).limit(limit))


def history(session: Session, case: DutyCase, *, limit: int) -> list[Entry]:
    """What was done with cases of this person while it was open: opened, called, seen, taken, handed; newest first."""
    steps = audit.entries(session, person_id=case.person_id, actions=_STEPS, limit=limit)
    return [step for step in steps if case.opened_at <= step.at <= (case.closed_at or step.at)]


def unattended(session: Session, *, minutes: int, now: datetime) -> Unattended:
    """Counts too who is at risk in an open conversation and has no case, which an older version may have left."""
    since = now - timedelta(minutes=minutes)
    count, oldest_at = session.execute(_WAITING).one()
    overdue = session.scalar(select(func.count()).select_from(CASES).where(_IS_OPEN, CASES.c.waits_since <= since)) or 0
    others, others_at = session.execute(_WITHOUT_CASE).one()
    others_overdue = others and others_at <= since
    return Unattended(
        count=count + others,
        overdue_count=overdue + (others if others_overdue else 0),
        oldest_at=min((moment for moment in (oldest_at, others_at) if moment is not None), default=None),
    )


def _read(session: Session, query: Select[Any]) -> list[DutyCase]:
    return [DutyCase(**row) for row in session.execute(query).mappings()]
