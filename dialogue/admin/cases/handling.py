"""What staff do with a case: look, take, hand over, give back, close. Each step is audited."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.orm import Session

from dialogue.admin import audit, notes
from dialogue.admin.audit import Action, Whom
from dialogue.admin.office import Actor, Office
from dialogue.core import people
from dialogue.core.cleaning import clean
from dialogue.errors import CaseClosed, CaseTaken, EmptyMessage, NoSuchCase
from dialogue.states import CaseOutcome
from dialogue.tables import CASES, CONVERSATIONS, PEOPLE

MAX_NOTE_LENGTH = 4000
NOTE_COLUMN = "cases.note"

_ATTENDED = {"waits_since": None, "next_call_at": None}
_LOCKED = select(CASES).where(CASES.c.id == bindparam("of_case")).with_for_update()
_OF_CONVERSATION = (
    select(CASES.c.id)
    .where(CASES.c.conversation_id == bindparam("of_conversation"), CASES.c.closed_at.is_(None))
    .order_by(CASES.c.level.desc())
    .limit(1)
)


def see(session: Session, case_id: UUID, *, by: Actor, now: datetime) -> None:
    """Somebody of the staff looked at it. Only its holder's look counts as attending to it.

    Nothing if it is unknown or closed.
    """
    row = session.execute(_LOCKED, {"of_case": case_id}).first()
    if row is None or row.closed_at is not None:
        return
    if row.seen_at is None:
        _change(session, row, seen_by=by.name, seen_at=now)
        _note(session, row, Action.CASE_SEEN, by=by, reason=None, now=now)
    if row.taken_by == by.name and row.waits_since is not None:
        _change(session, row, taken_at=row.taken_at or now, **_ATTENDED)


def see_conversation(session: Session, conversation_id: UUID, *, by: Actor, now: datetime) -> None:
    """The same, for the case that is open about that conversation."""
    case_id = of_conversation(session, conversation_id)
    if case_id is not None:
        see(session, case_id, by=by, now=now)


def of_conversation(session: Session, conversation_id: UUID) -> UUID | None:
    """The open case about that conversation."""
    found: UUID | None = session.scalar(_OF_CONVERSATION, {"of_conversation": conversation_id})
    return found


def take(session: Session, case_id: UUID, *, by: Actor, instead_of: str | None = None, now: datetime) -> None:
    """Attend to it from now on. `instead_of`: the holder from whom it is taken knowingly.

    Raises `NoSuchCase`, `CaseClosed`, `CaseTaken`.
    """
    row = _open(session, case_id)
    if row.taken_by not in (None, by.name, instead_of):
        raise CaseTaken(row.taken_by)
    if row.taken_by == by.name and row.waits_since is None:
        return
    _change(session, row, taken_by=by.name, taken_at=now, seen_by=row.seen_by or by.name, seen_at=row.seen_at or now)
    _change(session, row, **_ATTENDED)
    reason = f"from {row.taken_by}" if row.taken_by not in (None, by.name) else None
    _note(session, row, Action.CASE_TAKEN, by=by, reason=reason, now=now)


def take_with(session: Session, conversation_id: UUID, *, by: Actor, now: datetime) -> None:
    """Whoever takes a conversation over has its case too."""
    case_id = of_conversation(session, conversation_id)
    if case_id is not None:
        holder = session.scalar(select(CASES.c.taken_by).where(CASES.c.id == case_id))
        take(session, case_id, by=by, instead_of=holder, now=now)


def hand_to(session: Session, office: Office, case_id: UUID, *, to: str, note: str, by: Actor, now: datetime) -> None:
    """Give it to a colleague, who has to look at it before `case_minutes` are over; `note` is for whoever has it next.

    `to` is their name in the audit. Raises `NoSuchCase`, `CaseClosed`, `MessageTooLong`, `Erased`.
    """
    row = _open(session, case_id)
    if note.strip():
        notes.hand_over(session, office, row.person_id, note, by=by, now=now)
    _change(session, row, taken_by=to, taken_at=None, **_waiting(office, now))
    _note(session, row, Action.CASE_HANDED, by=by, reason=f"to {to}", now=now)


def give_back(session: Session, office: Office, case_id: UUID, *, by: Actor, reason: str | None, now: datetime) -> None:
    """Nobody attends to it any more; the next on the list is called. Raises `NoSuchCase`, `CaseClosed`."""
    row = _open(session, case_id)
    if row.taken_by is None:
        return
    _change(session, row, taken_by=None, taken_at=None, **_waiting(office, now))
    _note(session, row, Action.CASE_GIVEN_BACK, by=by, reason=reason, now=now)


def give_back_all(session: Session, office: Office, *, holder: str, by: Actor, now: datetime) -> None:
    """Their holder cannot attend to them any more."""
    held = select(CASES.c.id).where(CASES.c.taken_by == holder, CASES.c.closed_at.is_(None)).order_by(CASES.c.id)
    for case_id in session.scalars(held).all():
        give_back(session, office, case_id, by=by, reason=f"from {holder}", now=now)


def close(
    session: Session, office: Office, case_id: UUID, *, outcome: CaseOutcome, note: str, by: Actor, now: datetime
) -> None:
    """Close it with a note (sealed for the person) and an outcome; the next danger opens another case.

    Of a person who was erased no note can be kept. Raises `NoSuchCase`, `CaseClosed`, `EmptyMessage`, `MessageTooLong`.
    """
    # or danger that is told again within minutes would be no news; before the case is locked, as an alarm does it
    its_conversation = select(CASES.c.conversation_id).where(CASES.c.id == case_id).scalar_subquery()
    forget = update(CONVERSATIONS).where(CONVERSATIONS.c.id == its_conversation)
    session.execute(forget.values(alarmed_at=None, alarm_level=None))
    row = _open(session, case_id)
    words = clean(note, max_length=MAX_NOTE_LENGTH)
    sealed = _sealed(session, office, row, words)
    _change(
        session,
        row,
        closed_by=by.name,
        closed_at=now,
        outcome=outcome,
        note=sealed,
        taken_by=row.taken_by or by.name,
        **_ATTENDED,
    )
    _note(session, row, Action.CASE_CLOSED, by=by, reason=outcome, now=now)


def note_of(session: Session, office: Office, case_id: UUID) -> str | None:
    """What was written when it was closed; raises `NoSuchCase`, `Erased`."""
    row = session.execute(select(CASES).where(CASES.c.id == case_id)).first()
    if row is None:
        raise NoSuchCase
    if row.note is None:
        return None
    return people.key_of(session, office.keys, row.person_id).open(row.note, row=row.id, column=NOTE_COLUMN)


def _sealed(session: Session, office: Office, row: Row[Any], words: str) -> bytes | None:
    if not words:
        raise EmptyMessage
    wrapped = session.scalar(select(PEOPLE.c.data_key).where(PEOPLE.c.id == row.person_id))
    if wrapped is None:
        return None
    return office.keys.person_key(wrapped, row.person_id).seal(words, row=row.id, column=NOTE_COLUMN)


def _open(session: Session, case_id: UUID) -> Row[Any]:
    row = session.execute(_LOCKED, {"of_case": case_id}).first()
    if row is None:
        raise NoSuchCase
    if row.closed_at is not None:
        raise CaseClosed
    return row


def _waiting(office: Office, now: datetime) -> dict[str, object]:
    return {"waits_since": now, "next_call_at": now + timedelta(minutes=office.case_minutes)}


def _change(session: Session, row: Row[Any], **values: object) -> None:
    session.execute(update(CASES).where(CASES.c.id == row.id).values(**values))


def _note(session: Session, row: Row[Any], action: Action, *, by: Actor, reason: str | None, now: datetime) -> None:
    whom = Whom(person_id=row.person_id, conversation_id=row.conversation_id)
    audit.note(session, actor=by.name, action=action, whom=whom, reason=reason, now=now)
