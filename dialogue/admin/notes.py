"""Notes of staff about a person, sealed with the person's key: a member's own, and the one that is handed over."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Action, Whom
from dialogue.admin.office import Actor, Office
from dialogue.core import people
from dialogue.core.cleaning import clean
from dialogue.states import NoteKind
from dialogue.storage.ids import new_id
from dialogue.tables import PERSON_NOTES

MAX_LENGTH = 4000
COLUMN = "person_notes.text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What a member of staff may read: their own note, and the one for whoever is on duty next."""

    private: str = field(default="", repr=False)
    handover: str = field(default="", repr=False)
    handed_over_by: str | None = None
    handed_over_at: datetime | None = None


def read(session: Session, office: Office, person_id: UUID, *, by: Actor, now: datetime) -> Notes:
    """The notes for that member; that they were read is audited. Raises `Erased`."""
    rows = session.execute(
        select(PERSON_NOTES).where(PERSON_NOTES.c.person_id == person_id, PERSON_NOTES.c.owner.in_(("", by.name)))
    ).all()
    if not rows:
        return Notes()
    audit.note(session, actor=by.name, action=Action.NOTES_READ, whom=Whom(person_id=person_id), reason=None, now=now)
    key = people.key_of(session, office.keys, person_id)
    texts = {row.kind: key.open(row.text, row=row.id, column=COLUMN) for row in rows}
    shared = next((row for row in rows if row.kind is NoteKind.HANDOVER), None)
    return Notes(
        private=texts.get(NoteKind.PRIVATE, ""),
        handover=texts.get(NoteKind.HANDOVER, ""),
        handed_over_by=shared.written_by if shared else None,
        handed_over_at=shared.written_at if shared else None,
    )


def keep_private(session: Session, office: Office, person_id: UUID, text: str, *, by: Actor, now: datetime) -> None:
    """Replace that member's own note; an empty text removes it. Raises `MessageTooLong`, `Erased`."""
    _keep(session, office, person_id, NoteKind.PRIVATE, text, owner=by.name, by=by, now=now)


def hand_over(session: Session, office: Office, person_id: UUID, text: str, *, by: Actor, now: datetime) -> None:
    """Replace the note for whoever is on duty next; an empty text removes it. Raises `MessageTooLong`, `Erased`."""
    _keep(session, office, person_id, NoteKind.HANDOVER, text, owner="", by=by, now=now)


def _keep(
    session: Session,
    office: Office,
    person_id: UUID,
    kind: NoteKind,
    text: str,
    *,
    owner: str,
    by: Actor,
    now: datetime,
) -> None:
    words = clean(text, max_length=MAX_LENGTH) if text.strip() else ""
    key = people.key_of(session, office.keys, person_id)
    note_id = new_id()
    session.execute(
        delete(PERSON_NOTES).where(
            PERSON_NOTES.c.person_id == person_id, PERSON_NOTES.c.kind == kind, PERSON_NOTES.c.owner == owner
        )
    )
    if words:
        session.execute(
            PERSON_NOTES.insert().values(
                id=note_id,
                person_id=person_id,
                kind=kind,
                owner=owner,
                text=key.seal(words, row=note_id, column=COLUMN),
                written_by=by.name,
                written_at=now,
            )
        )
    audit.note(session, actor=by.name, action=Action.NOTE, whom=Whom(person_id=person_id), reason=kind, now=now)
