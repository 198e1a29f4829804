"""Complaints: encrypted like everything people write, read by admins, and every read is audited."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Whom
from dialogue.core import people
from dialogue.core.people import KnownPerson
from dialogue.storage.ids import new_id
from dialogue.storage.vault import MasterKeys
from dialogue.tables import COMPLAINTS, PEOPLE

MADE = "complaint"
READ = "complaint_read"
SETTLED = "complaint_settled"
"""The `action` of audit entries; their `reason` is the complaint's id."""

MAX_A_DAY = 5
"""Each complaint alerts every admin. This leaves room to add to one or correct it; more in a day would only distract
admins from other people. Reasons: decision 89."""

COLUMN = "complaints.text"
_MAKE = insert(COMPLAINTS)
_OPEN = (
    select(COMPLAINTS.c.id, COMPLAINTS.c.person_id, COMPLAINTS.c.conversation_id, COMPLAINTS.c.made_at)
    .where(COMPLAINTS.c.settled_at.is_(None))
    .order_by(COMPLAINTS.c.id)
    .limit(bindparam("max_count"))
)
_ONE = select(COMPLAINTS.c.person_id, COMPLAINTS.c.conversation_id, COMPLAINTS.c.text).where(
    COMPLAINTS.c.id == bindparam("of_complaint")
)
_MADE_SINCE = (
    select(func.count())
    .select_from(COMPLAINTS)
    .where(COMPLAINTS.c.person_id == bindparam("of_person"), COMPLAINTS.c.made_at > bindparam("since"))
)
_LISTED = (
    select(
        *(COMPLAINTS.c[name] for name in ("id", "conversation_id", "made_at", "settled_at", "settled_by")),
        COMPLAINTS.c.text.is_not(None).label("is_kept"),
        PEOPLE.c.channel,
    )
    .join(PEOPLE, PEOPLE.c.id == COMPLAINTS.c.person_id)
    .order_by(COMPLAINTS.c.id.desc())
    .limit(bindparam("max_count"))
)
_SETTLE = (
    update(COMPLAINTS)
    .where(COMPLAINTS.c.id == bindparam("of_complaint"), COMPLAINTS.c.settled_at.is_(None))
    .values(settled_at=bindparam("now"), settled_by=bindparam("by"))
    .returning(COMPLAINTS.c.person_id, COMPLAINTS.c.conversation_id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenComplaint:
    """An open complaint without its text; use `read` for that."""

    id: UUID
    person_id: UUID
    conversation_id: UUID | None
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedComplaint:
    """A complaint, open or settled, without its text."""

    id: UUID
    conversation_id: UUID | None
    channel: str
    made_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    is_kept: bool


@dataclass(frozen=True, slots=True)
class ComplaintText:
    """The text of a complaint; None if it can no longer be read."""

    text: str | None = field(repr=False)


def make(session: Session, person: KnownPerson, text: str, *, conversation_id: UUID | None, now: datetime) -> UUID:
    """Store a complaint for the admins."""
    complaint_id = new_id()
    session.execute(
        _MAKE,
        {
            "id": complaint_id,
            "person_id": person.id,
            "conversation_id": conversation_id,
            "text": person.key.seal(text, row=complaint_id, column=COLUMN),
            "made_at": now,
        },
    )
    _note(session, complaint_id, MADE, actor="person", of=person.id, conversation_id=conversation_id, now=now)
    return complaint_id


def may_make(session: Session, person: KnownPerson, *, now: datetime) -> bool:
    """Whether this person filed fewer than `MAX_A_DAY` complaints in the last day."""
    since = now - timedelta(days=1)
    made: int = session.scalar(_MADE_SINCE, {"of_person": person.id, "since": since}) or 0
    return made < MAX_A_DAY


def page(session: Session, *, is_settled: bool, before: UUID | None = None, limit: int = 50) -> list[ListedComplaint]:
    """Open or settled complaints, newest first; `before` is the last one of the previous page."""
    settled_at = COMPLAINTS.c.settled_at
    query = _LISTED.where(settled_at.is_not(None) if is_settled else settled_at.is_(None))
    if before is not None:
        query = query.where(COMPLAINTS.c.id < before)
    return [ListedComplaint(**row) for row in session.execute(query, {"max_count": limit}).mappings()]


def one(session: Session, complaint_id: UUID) -> ListedComplaint | None:
    """The complaint with that id, or None."""
    found = session.execute(_LISTED.where(COMPLAINTS.c.id == complaint_id), {"max_count": 1}).mappings().first()
    return ListedComplaint(**found) if found is not None else None


def open_ones(session: Session, *, limit: int = 100) -> list[OpenComplaint]:
    """Open complaints, oldest first."""
    return [OpenComplaint(**row._asdict()) for row in session.execute(_OPEN, {"max_count": limit})]


def read(session: Session, keys: MasterKeys, complaint_id: UUID, *, by: str, now: datetime) -> ComplaintText | None:
    """A complaint's text for an admin; None for an unknown id. The read is audited."""
    complaint = session.execute(_ONE, {"of_complaint": complaint_id}).first()
    if complaint is None:
        return None
    person_id, conversation_id = complaint.person_id, complaint.conversation_id
    _note(session, complaint_id, READ, actor=by, of=person_id, conversation_id=conversation_id, now=now)
    if complaint.text is None:
        return ComplaintText(None)
    key = people.key_of(session, keys, complaint.person_id)
    return ComplaintText(key.open(complaint.text, row=complaint_id, column=COLUMN))


def settle(session: Session, complaint_id: UUID, *, by: str, now: datetime) -> bool:
    """Mark it settled by an admin; False if it was settled already or does not exist."""
    settled = session.execute(_SETTLE, {"of_complaint": complaint_id, "by": by, "now": now}).first()
    if settled is None:
        return False
    person_id, conversation_id = settled
    _note(session, complaint_id, SETTLED, actor=by, of=person_id, conversation_id=conversation_id, now=now)
    return True


def _note(
    session: Session,
    complaint_id: UUID,
    action: str,
    *,
    actor: str,
    of: UUID,
    conversation_id: UUID | None,
    now: datetime,
) -> None:
    whom = Whom(of, conversation_id)
    audit.note(session, actor=actor, action=action, whom=whom, reason=str(complaint_id), now=now)
