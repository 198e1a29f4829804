"""Where people came from: the label of the link they followed, stored as an audit entry."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, exists, insert, select
from sqlalchemy.orm import Session

from dialogue.storage.ids import new_id
from dialogue.tables import AUDIT

CAME_BY = "came_by"
"""The `action` of such an entry; its `reason` is the label."""

_NOTE = insert(AUDIT)
_NOTED = select(
    exists().where(
        AUDIT.c.person_id == bindparam("of_person"), AUDIT.c.action == CAME_BY, AUDIT.c.reason == bindparam("label")
    )
)


def note(session: Session, person_id: UUID, label: str, *, now: datetime) -> None:
    """Record that the person followed a link with that label."""
    session.execute(
        _NOTE,
        {"id": new_id(), "at": now, "actor": "person", "action": CAME_BY, "person_id": person_id, "reason": label},
    )


def note_once(session: Session, person_id: UUID, label: str, *, now: datetime) -> None:
    """The same for a platform that tells of it each time the person comes."""
    if not session.scalar(_NOTED, {"of_person": person_id, "label": label}):
        note(session, person_id, label, now=now)
