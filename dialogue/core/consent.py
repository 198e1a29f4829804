"""Consent, and the messages that wait for it. The person must be locked.

Messages sent before a person consents are sealed like all others, kept for a day, and then deleted by the sweep.
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
"""How long messages wait for consent."""

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
    """A message that waits for consent."""

    message_id: UUID
    conversation_id: UUID
    text: str = field(repr=False)


def ask(session: Session, person: KnownPerson, *, version: str | None, now: datetime) -> None:
    """Record that the person was shown the notice of that `version`."""
    session.execute(_ASK, {"person_id": person.id, "version": version, "now": now})


def agree(session: Session, person: KnownPerson, *, version: str, band: AgeBand | None, now: datetime) -> None:
    """Record consent to that version of the notice; `band` is the person's age band."""
    session.execute(_AGREE, {"person_id": person.id, "version": version, "band": band, "now": now})
    _note(session, person, "consent", now=now, reason=version)


def decline(session: Session, person: KnownPerson, *, now: datetime) -> None:
    """Record a refusal: waiting messages are deleted, and nothing more is stored."""
    session.execute(_DECLINE, {"person_id": person.id, "now": now})
    forget_held(session, person)
    _note(session, person, "consent_declined", now=now)


def withdraw(session: Session, person: KnownPerson, *, now: datetime) -> None:
    """Record that consent was withdrawn, including the one to training."""
    session.execute(_DECLINE, {"person_id": person.id, "now": now})
    forget_held(session, person)
    _note(session, person, "consent_withdrawn", now=now)


def share(session: Session, person: KnownPerson, *, is_allowed: bool, now: datetime) -> None:
    """Record the separate consent to use conversations for training."""
    session.execute(_SHARE, {"person_id": person.id, "since": now if is_allowed else None})
    _note(session, person, "training_consent" if is_allowed else "training_consent_withdrawn", now=now)


def note_band(session: Session, person: KnownPerson, band: AgeBand) -> None:
    """Record the age band that the person stated."""
    session.execute(_BAND, {"person_id": person.id, "band": band})


def held(session: Session, person: KnownPerson, *, now: datetime) -> list[HeldWords]:
    """The messages waiting in open conversations, oldest first, at most the last twenty."""
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
    """Take these messages off the waiting list."""
    session.execute(_KEEP, {"message_ids": list(message_ids)})


def forget_held(session: Session, person: KnownPerson) -> None:
    """Delete the waiting messages."""
    session.execute(_FORGET, {"of_person": person.id})


def expire(session: Session, *, now: datetime) -> int:
    """Delete one batch of messages that waited too long; returns the count."""
    return len(session.execute(_EXPIRE, {"now": now}).all())


def _note(session: Session, person: KnownPerson, action: str, *, now: datetime, reason: str | None = None) -> None:
    session.execute(
        _NOTE,
        {"id": new_id(), "at": now, "actor": "person", "action": action, "person_id": person.id, "reason": reason},
    )
