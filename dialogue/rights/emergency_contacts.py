"""Whom a person wants to be called when they are in danger: given freely, sealed, shown to them, removed at a word.

Nothing is ever sent to it: an admin reads it, with a reason that is written down, and calls.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Whom
from dialogue.core import people
from dialogue.core.people import KnownPerson
from dialogue.storage.vault import MasterKeys
from dialogue.tables import EMERGENCY_CONTACTS

READ = "contact_read"
"""The `action` of an audit entry that says: an admin looked up whom to call."""

COLUMN = "emergency_contacts.text"
_OF_PERSON = EMERGENCY_CONTACTS.c.person_id == bindparam("of_person")
_TEXT = select(EMERGENCY_CONTACTS.c.text).where(_OF_PERSON)
_CHANGE = update(EMERGENCY_CONTACTS).where(_OF_PERSON).values(text=bindparam("new_text"), given_at=bindparam("now"))
_CHANGED = _CHANGE.returning(EMERGENCY_CONTACTS.c.person_id)
_GIVE = insert(EMERGENCY_CONTACTS)
_REMOVE = delete(EMERGENCY_CONTACTS).where(_OF_PERSON)


def give(session: Session, person: KnownPerson, text: str, *, now: datetime) -> None:
    """Keep whom to call, instead of whom they named before. The person must be locked."""
    sealed = person.key.seal(text, row=person.id, column=COLUMN)
    if session.execute(_CHANGED, {"of_person": person.id, "new_text": sealed, "now": now}).first() is None:
        session.execute(_GIVE, {"person_id": person.id, "text": sealed, "given_at": now})


def shown(session: Session, person: KnownPerson) -> str | None:
    """Whom they named, for themselves."""
    sealed = session.scalar(_TEXT, {"of_person": person.id})
    return None if sealed is None else person.key.open(sealed, row=person.id, column=COLUMN)


def remove(session: Session, person: KnownPerson) -> None:
    """They want nobody to be called any more."""
    session.execute(_REMOVE, {"of_person": person.id})


def look_up(session: Session, keys: MasterKeys, person_id: UUID, *, by: str, reason: str, now: datetime) -> str | None:
    """Whom to call, for an admin; None if nobody was named. The reading and its reason are written down.

    Raises `ReasonTooLong`.
    """
    sealed = session.scalar(_TEXT, {"of_person": person_id})
    audit.note(session, actor=by, action=READ, whom=Whom(person_id), reason=reason, now=now)
    if sealed is None:
        return None
    return people.key_of(session, keys, person_id).open(sealed, row=person_id, column=COLUMN)
