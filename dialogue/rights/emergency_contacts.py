"""Emergency contacts: given voluntarily, encrypted, shown to the person, removed at any time by a command.

Nothing is ever sent to a contact: an admin looks it up, with a reason that is audited, and calls.
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
"""The `action` of an audit entry: an admin looked up the emergency contact."""

TOLD = "contact_told"
"""The `action` of an audit entry: a member of staff decided to call the emergency contact, and did."""

COLUMN = "emergency_contacts.text"
_OF_PERSON = EMERGENCY_CONTACTS.c.person_id == bindparam("of_person")
_TEXT = select(EMERGENCY_CONTACTS.c.text).where(_OF_PERSON)
_CHANGE = update(EMERGENCY_CONTACTS).where(_OF_PERSON).values(text=bindparam("new_text"), given_at=bindparam("now"))
_CHANGED = _CHANGE.returning(EMERGENCY_CONTACTS.c.person_id)
_GIVE = insert(EMERGENCY_CONTACTS)
_REMOVE = delete(EMERGENCY_CONTACTS).where(_OF_PERSON)


def give(session: Session, person: KnownPerson, text: str, *, now: datetime) -> None:
    """Store the contact, replacing the previous one. The person's row must be locked."""
    sealed = person.key.seal(text, row=person.id, column=COLUMN)
    if session.execute(_CHANGED, {"of_person": person.id, "new_text": sealed, "now": now}).first() is None:
        session.execute(_GIVE, {"person_id": person.id, "text": sealed, "given_at": now})


def shown(session: Session, person: KnownPerson) -> str | None:
    """The person's contact, to be shown to the person."""
    sealed = session.scalar(_TEXT, {"of_person": person.id})
    return None if sealed is None else person.key.open(sealed, row=person.id, column=COLUMN)


def remove(session: Session, person: KnownPerson) -> None:
    """Remove the contact."""
    session.execute(_REMOVE, {"of_person": person.id})


def look_up(session: Session, keys: MasterKeys, person_id: UUID, *, by: str, reason: str, now: datetime) -> str | None:
    """The contact, for an admin; None if there is none. The read and its reason are audited.

    Raises `ReasonTooLong`.
    """
    sealed = session.scalar(_TEXT, {"of_person": person_id})
    audit.note(session, actor=by, action=READ, whom=Whom(person_id), reason=reason, now=now)
    if sealed is None:
        return None
    return people.key_of(session, keys, person_id).open(sealed, row=person_id, column=COLUMN)


def note_told(session: Session, person_id: UUID, *, by: str, reason: str, now: datetime) -> None:
    """A member of staff called the contact: whom, when and why is audited, never what was said.

    Raises `ReasonTooLong`.
    """
    audit.note(session, actor=by, action=TOLD, whom=Whom(person_id), reason=reason, now=now)
