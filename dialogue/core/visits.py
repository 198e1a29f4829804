"""How long a person has been here is kept with them, and written a few times an hour at most."""

from uuid import UUID

from sqlalchemy import bindparam, update
from sqlalchemy.orm import Session

from care.visit import Visit
from dialogue.tables import PEOPLE

_KEEP = (
    update(PEOPLE)
    .where(PEOPLE.c.id == bindparam("person_id"))
    .values(
        visit_began_at=bindparam("began_at"),
        heard_at=bindparam("new_heard_at"),
        reminded_at=bindparam("new_reminded_at"),
        labelled_at=bindparam("new_labelled_at"),
    )
)

_FORGET_LABEL = update(PEOPLE).where(PEOPLE.c.id == bindparam("person_id")).values(labelled_at=None)


def keep(session: Session, person_id: UUID, visit: Visit) -> None:
    """Write the visit."""
    session.execute(
        _KEEP,
        {
            "person_id": person_id,
            "began_at": visit.began_at,
            "new_heard_at": visit.heard_at,
            "new_reminded_at": visit.reminded_at,
            "new_labelled_at": visit.labelled_at,
        },
    )


def forget_label(session: Session, person_id: UUID) -> None:
    """The reply that was to carry the label will not come: the next one carries it."""
    session.execute(_FORGET_LABEL, {"person_id": person_id})
