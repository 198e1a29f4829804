"""The audit log: who did what to whom, when and why; never a text. Entries are only ever added."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from dialogue.errors import ReasonTooLong
from dialogue.storage.ids import new_id
from dialogue.tables import AUDIT

MAX_REASON_LENGTH = 255

_NOTE = insert(AUDIT)


class Action(StrEnum):
    """Actions of admins. Screening and people themselves write actions that are defined elsewhere."""

    RESET = "reset"  # a conversation was ended silently
    CLOSE = "close"  # a conversation was ended, and its person told
    BLOCK = "block"
    UNBLOCK = "unblock"
    TAKE_OVER = "take_over"
    RELEASE = "release"
    HAND_OVER = "hand_over"  # a colleague was asked for, who answers in the platform's own app
    ASK_RELEASE = "ask_release"  # a colleague wants the holder to give it back
    KEEP = "keep"  # ... and the holder keeps it
    SAY = "say"  # a human's words were sent
    RESEND = "resend"  # a failed delivery is owed again
    READ = "read"  # a transcript was opened
    SAVE_MEDIUM = "save_medium"  # a picture, a voice message or a file was saved from a transcript
    EXPORT = "export"  # everything that is kept of a person was written into files
    ROTATE_KEYS = "rotate_keys"  # data keys were wrapped by another master key
    MUTE_ALERTS = "mute_alerts"
    UNMUTE_ALERTS = "unmute_alerts"
    BACKUP = "backup"  # a copy of the whole database was written
    RESTORE = "restore"  # into an empty database
    CASE_OPENED = "case_opened"  # something a human must attend to
    CASE_RAISED = "case_raised"  # ... and once more
    CASE_CALLED = "case_called"  # nobody attended: the next on the list was called
    CASE_SEEN = "case_seen"
    CASE_TAKEN = "case_taken"
    CASE_HANDED = "case_handed"  # to a colleague
    CASE_GIVEN_BACK = "case_given_back"  # nobody attends to it any more
    CASE_CLOSED = "case_closed"  # with an outcome
    NOTES_READ = "notes_read"
    ASSIGN = "assign"  # a conversation to a member of staff
    SEARCH = "search"  # in the words of one person
    PRINT = "print"  # a transcript was laid out to be printed
    NOTE = "note"  # a note about a person was changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One audit entry."""

    id: UUID
    at: datetime
    actor: str
    action: str
    person_id: UUID | None
    conversation_id: UUID | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Whom:
    """The person or conversation that an action concerned."""

    person_id: UUID | None = None
    conversation_id: UUID | None = None


def note(session: Session, *, actor: str, action: str, whom: Whom, reason: str | None, now: datetime) -> None:
    """Write one entry; raises `ReasonTooLong`."""
    note_all(session, actor=actor, action=action, whoms=[whom], reason=reason, now=now)


def note_all(
    session: Session, *, actor: str, action: str, whoms: Iterable[Whom], reason: str | None, now: datetime
) -> None:
    """Write one entry for each of several; raises `ReasonTooLong`."""
    if reason is not None and len(reason) > MAX_REASON_LENGTH:
        raise ReasonTooLong
    rows = [
        {
            "id": new_id(),
            "at": now,
            "actor": actor,
            "action": action,
            "person_id": whom.person_id,
            "conversation_id": whom.conversation_id,
            "reason": reason or None,
        }
        for whom in whoms
    ]
    if rows:
        session.execute(_NOTE, rows)


def entries(
    session: Session,
    *,
    person_id: UUID | None = None,
    conversation_id: UUID | None = None,
    actor: str | None = None,
    action: str | None = None,
    actors: Collection[str] = (),
    actions: Collection[str] = (),
    before: UUID | None = None,
    limit: int = 50,
) -> list[Entry]:
    """The newest entries that match, or those older than the entry `before`.

    `actors`, `actions`: any of them; empty for all.
    """
    wanted = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
    given = {"person_id": person_id, "conversation_id": conversation_id, "actor": actor, "action": action}
    for name, value in given.items():
        if value is not None:
            wanted = wanted.where(AUDIT.c[name] == value)
    for name, values in (("actor", actors), ("action", actions)):
        if values:
            wanted = wanted.where(AUDIT.c[name].in_(values))
    if before is not None:
        wanted = wanted.where(AUDIT.c.id < before)
    return [Entry(**row) for row in session.execute(wanted).mappings()]
