"""What a counsellor knows of a person beside their words: age, consent, ratings, the course of danger."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from care.age import AgeBand
from dialogue.admin import listing
from dialogue.admin.listing import Listed, Wanted
from dialogue.core.danger_course import ALARM
from dialogue.errors import NoSuchPerson
from dialogue.tables import AUDIT, CONVERSATIONS, EMERGENCY_CONTACTS, FEEDBACK, PEOPLE, TURNS

_MAX_ALARMS = 200
_EARLIER = 10
_TIER = "tier "


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPoint:
    """An alarm: when, and of which tier."""

    at: datetime
    tier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonFacts:
    """Without any words. `risk`: the alarms, oldest first; `earlier`: their conversations, newest first."""

    id: UUID
    channel: str
    user_id: str
    age_band: AgeBand | None
    consented_at: datetime | None
    declined_at: datetime | None
    training_consented_at: datetime | None
    known_since: datetime
    erased_at: datetime | None
    has_contact: bool
    liked_count: int
    disliked_count: int
    risk: list[RiskPoint]
    earlier: list[Listed]

    @property
    def is_minor(self) -> bool:
        return self.age_band in (AgeBand.CHILD, AgeBand.MINOR)


def facts(session: Session, person_id: UUID) -> PersonFacts:
    """Raises `NoSuchPerson`."""
    row = session.execute(select(PEOPLE).where(PEOPLE.c.id == person_id)).first()
    if row is None:
        raise NoSuchPerson
    ratings = _ratings(session, person_id)
    contact = select(exists().where(EMERGENCY_CONTACTS.c.person_id == person_id))
    return PersonFacts(
        id=row.id,
        channel=row.channel,
        user_id=row.user_id,
        age_band=row.age_band,
        consented_at=row.consented_at,
        declined_at=row.declined_at,
        training_consented_at=row.training_consented_at,
        known_since=row.created_at,
        erased_at=row.erased_at,
        has_contact=bool(session.scalar(contact)),
        liked_count=ratings[1],
        disliked_count=ratings[-1],
        risk=_risk(session, person_id),
        earlier=listing.page(session, Wanted(person_id=person_id), limit=_EARLIER).conversations,
    )


def _ratings(session: Session, person_id: UUID) -> Counter[int]:
    query = (
        select(FEEDBACK.c.value, func.count())
        .join(TURNS, TURNS.c.id == FEEDBACK.c.turn_id)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == TURNS.c.conversation_id)
        .where(CONVERSATIONS.c.person_id == person_id)
        .group_by(FEEDBACK.c.value)
    )
    return Counter(dict(session.execute(query).all()))


def _risk(session: Session, person_id: UUID) -> list[RiskPoint]:
    query = (
        select(AUDIT.c.at, AUDIT.c.reason)
        .where(AUDIT.c.person_id == person_id, AUDIT.c.action == ALARM)
        .order_by(AUDIT.c.id.desc())
        .limit(_MAX_ALARMS)
    )
    rows = session.execute(query).all()
    return [
        RiskPoint(at=at, tier=int(reason.removeprefix(_TIER)))
        for at, reason in reversed(rows)
        if reason and reason.removeprefix(_TIER).isdecimal()
    ]
