"""Opens a case in the transaction that finds the reason for it; a further alarm about the same person joins it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Action, Whom
from dialogue.admin.office import Office
from dialogue.states import CaseKind
from dialogue.storage.database import insert_or_ignore
from dialogue.storage.ids import new_id
from dialogue.tables import CASES, CONVERSATIONS

ASKED_LEVEL = 1
"""Somebody wants to talk to a human; danger has its tier, and one more if it may be happening now."""
UNSENT_LEVEL = 3
"""Crisis words did not arrive."""
UNREACHABLE_LEVEL = 2
"""An admin does not get the alerts."""

WITNESS = "screening"
"""The actor of what no person did."""

_OPEN = select(CASES).where(CASES.c.subject == bindparam("of_subject"), CASES.c.closed_at.is_(None)).with_for_update()
_HOLDER = select(CONVERSATIONS.c.taken_over_by).where(
    CONVERSATIONS.c.id == bindparam("of_conversation"), CONVERSATIONS.c.closed_at.is_(None)
)


def open_case(
    session: Session,
    office: Office,
    *,
    kind: CaseKind,
    person_id: UUID,
    conversation_id: UUID | None,
    level: int,
    now: datetime,
) -> UUID:
    """The case about that person, opened now unless one is open; returns its id.

    `level`: 1 to 4, the gravest first on the desk. `person_id`: for `UNREACHABLE_ADMIN` that of the admin. Whoever
    holds the conversation has the case too. Somebody who took it has to look again when it is raised once more.
    """
    subject = _subject(kind, person_id)
    case_id = new_id()
    holder = session.scalar(_HOLDER, {"of_conversation": conversation_id}) if conversation_id else None
    row = {
        "id": case_id,
        "kind": kind,
        "level": level,
        "subject": subject,
        "person_id": person_id,
        "conversation_id": conversation_id,
        "opened_at": now,
        "raised_at": now,
        "raise_count": 1,
        "taken_by": holder,
        "taken_at": now if holder else None,
        "waits_since": now,
        "next_call_at": now + timedelta(minutes=office.case_minutes),
        "call_count": 0,
    }
    insert_or_ignore(session, CASES, row)  # two at once: the second waits, and joins
    open_row = session.execute(_OPEN, {"of_subject": subject}).one()
    whom = Whom(person_id=person_id, conversation_id=conversation_id)
    if open_row.id == case_id:
        reason = f"{kind} level={level}"
        audit.note(session, actor=WITNESS, action=Action.CASE_OPENED, whom=whom, reason=reason, now=now)
        return case_id
    _raise(session, office, open_row, kind=kind, conversation_id=conversation_id, level=level, now=now)
    reason = f"{kind} level={max(level, open_row.level)}"
    audit.note(session, actor=WITNESS, action=Action.CASE_RAISED, whom=whom, reason=reason, now=now)
    joined: UUID = open_row.id
    return joined


def _raise(
    session: Session,
    office: Office,
    row: Row[Any],
    *,
    kind: CaseKind,
    conversation_id: UUID | None,
    level: int,
    now: datetime,
) -> None:
    due = now + timedelta(minutes=office.case_minutes)
    session.execute(
        update(CASES)
        .where(CASES.c.id == row.id)
        .values(
            kind=kind if level > row.level else row.kind,
            level=max(level, row.level),
            conversation_id=conversation_id or row.conversation_id,
            raised_at=now,
            raise_count=row.raise_count + 1,
            waits_since=row.waits_since or now,
            next_call_at=row.next_call_at or due,
        )
    )


def _subject(kind: CaseKind, person_id: UUID) -> str:
    return f"{'admin' if kind is CaseKind.UNREACHABLE_ADMIN else 'person'}:{person_id.hex}"
