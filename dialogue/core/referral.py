"""Where people came from: the label of the link they followed, stored as an audit entry."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.orm import Session

from dialogue.storage.ids import new_id
from dialogue.tables import AUDIT

CAME_BY = "came_by"
"""The `action` of such an entry; its `reason` is the label."""

_NOTE = insert(AUDIT)


def note(session: Session, person_id: UUID, label: str, *, now: datetime) -> None:
    """Record that the person followed a link with that label."""
    session.execute(
        _NOTE,
        {"id": new_id(), "at": now, "actor": "person", "action": CAME_BY, "person_id": person_id, "reason": label},
    )
