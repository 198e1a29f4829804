"""What people agreed to, and the words that wait until they do. The person must be locked.

Words said before a consent are sealed like all others, wait for a day, and are then deleted by the sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from care.age import AgeBand
from dialogue.core.people import KnownPerson
from dialogue.storage.ids import new_id
from dialogue.tables import AUDIT, CONVERSATIONS, MESSAGES, PEOPLE

HOLD = timedelta(hours=24)
"""How long words wait for a consent."""

_MAX_HELD = 20
_BATCH = 500
_THE_PERSON = update(PEOPLE).where(PEOPLE.c.id == bindparam("person_id"))
_ASK = _THE_PERSON.values(asked_version=bindparam("version"), asked_at=bindparam("now"))
_AGREE = _THE_PERSON.values(
    consent_version=bindparam("version"),
    consented_at=bindparam("now"),
    declined_at=None,
    age_band=bindparam("band"),
    labelled_at=bindparam("now"),  # the notice said it
)
_DECLINE = _THE_PERSON.values(
    consent_version=None,
    consented_at=None,
    training_consented_at=None,
    asked_at=None,
    declined_at=bindparam("now"),
)
_SHARE = _THE_PERSON.values(training_consented_at=bindparam("since"))
_BAND = _THE_PERSON.values(age_band=bindparam("band"))
_NOTE = insert(AUDIT)
_IS_HELD = (MESSAGES.c.person_id == bindparam("of_person"), MESSAGES.c.expires_at.is_not(None))
_HELD = (
    select(MESSAGES.c.id, MESSAGES.c.text, MESSAGES.c.conversation_id)
    .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
    .where(*_IS_HELD, MESSAGES.c.expires_at > bindparam("now"), CONVERSATIONS.c.closed_at.is_(None))
    .order_by(MESSAGES.c.id.desc())
    .limit(_MAX_HELD)
)
_KEEP = update(MESSAGES).where(MESSAGES.c.id.in_(bindparam("message_ids", expanding=True))).values(expires_at=None)
_FORGET = update(MESSAGES).where(*_IS_HELD).values(text=None, expires_at=None)
_EXPIRED = (
    select(MESSAGES.c.id)
    .where(MESSAGES.c.expires_at <= bindparam("now"))
    .limit(_BATCH)
    .with_for_update(skip_locked=True)
)
_EXPIRE = (
    update(MESSAGES)
    .where(MESSAGES.c.id.in_(_EXPIRED.scalar_subquery()))
    .values(text=None, expires_at=None)
    .returning(MESSAGES.c.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldWords:
    """A message that waits for a consent."""

    message_id: UUID
    conversation_id: UUID
    text: str = field(repr=False)


def ask(session: Session, person: KnownPerson, *, version: str | None, now: datetime) -> None:
    """That person is being asked; `version` is the notice that they have seen then."""
    session.execute(_ASK, {"person_id": person.id, "version": version, "now": now})


def agree(session: Session, person: KnownPerson, *, version: str, band: AgeBand | None, now: datetime) -> None:
    """They agreed to that version; `band` is what is known of their age."""
    session.execute(_AGREE, {"person_id": person.id, "version": version, "band": band, "now": now})
    _note(session, person, "consent", now=now, reason=version)


def decline(session: Session, person: KnownPerson, *, now: datetime) -> None:
    """They do not agree: what waits is deleted, and nothing of theirs is kept from here on."""
    session.execute(_DECLINE, {"person_id": person.id, "now": now})
    forget_held(session, person)
    _note(session, person, "consent_declined", now=now)


def withdraw(session: Session, person: KnownPerson, *, now: datetime) -> None:
    """They no longer agree, and no longer to anything else either."""
    session.execute(_DECLINE, {"person_id": person.id, "now": now})
    forget_held(session, person)
    _note(session, person, "consent_withdrawn", now=now)


def share(session: Session, person: KnownPerson, *, is_allowed: bool, now: datetime) -> None:
    """Whether their conversations may be used to improve the model: a consent of its own."""
    session.execute(_SHARE, {"person_id": person.id, "since": now if is_allowed else None})
    _note(session, person, "training_consent" if is_allowed else "training_consent_withdrawn", now=now)


def note_band(session: Session, person: KnownPerson, band: AgeBand) -> None:
    """What they said of their age."""
    session.execute(_BAND, {"person_id": person.id, "band": band})


def held(session: Session, person: KnownPerson, *, now: datetime) -> list[HeldWords]:
    """The words that wait in open conversations, oldest first; of very many the last twenty."""
    rows = session.execute(_HELD, {"of_person": person.id, "now": now}).all()
    return [
        HeldWords(
            message_id=row.id,
            conversation_id=row.conversation_id,
            text=person.key.open(row.text, row=row.id, column="messages.text"),
        )
        for row in reversed(rows)
        if row.text is not None
    ]


def keep(session: Session, message_ids: Sequence[UUID]) -> None:
    """These words need wait no longer."""
    session.execute(_KEEP, {"message_ids": list(message_ids)})


def forget_held(session: Session, person: KnownPerson) -> None:
    """Delete the words that wait."""
    session.execute(_FORGET, {"of_person": person.id})


def expire(session: Session, *, now: datetime) -> int:
    """Delete words that waited too long, a batch at a time; returns how many."""
    return len(session.execute(_EXPIRE, {"now": now}).all())


def _note(session: Session, person: KnownPerson, action: str, *, now: datetime, reason: str | None = None) -> None:
    session.execute(
        _NOTE,
        {"id": new_id(), "at": now, "actor": "person", "action": action, "person_id": person.id, "reason": reason},
    )
