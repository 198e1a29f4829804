"""Filters of the list of conversations that a member of staff keeps under a name."""

from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from dialogue.storage.ids import new_id
from dialogue.tables import SavedView

MAX_NAME_LENGTH = 40
MAX_QUERY_LENGTH = 1000
MAX_COUNT = 30


def of(session: Session, staff_id: UUID) -> list[SavedView]:
    """By name."""
    return list(session.scalars(select(SavedView).where(SavedView.staff_id == staff_id).order_by(SavedView.name)))


def keep(session: Session, staff_id: UUID, name: str, query: str) -> bool:
    """Replaces the one of the same name; False for a bad name, or when there are too many."""
    name = name.strip()
    if not name or len(name) > MAX_NAME_LENGTH or len(query) > MAX_QUERY_LENGTH:
        return False
    session.execute(delete(SavedView).where(SavedView.staff_id == staff_id, SavedView.name == name))
    count = session.scalar(select(func.count()).select_from(SavedView).where(SavedView.staff_id == staff_id)) or 0
    if count >= MAX_COUNT:
        return False
    session.add(SavedView(id=new_id(), staff_id=staff_id, name=name, query=query))
    return True


def drop(session: Session, staff_id: UUID, view_id: UUID) -> None:
    """Only one's own."""
    session.execute(delete(SavedView).where(SavedView.staff_id == staff_id, SavedView.id == view_id))
