"""Whether somebody of the staff is there now: by the operator's hours, or because one was active just now."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.orm import Session

from dialogue.admin.office import Office
from dialogue.process.duty_hours import DutyHours
from dialogue.tables import AUDIT
from dialogue.tables.staff import Staff, StaffSession

ASKED_FOR_A_HUMAN = "asked_for_human"
"""The `action` of an audit entry that says: this person wants to talk to a human."""

PRESENCE: Final = timedelta(minutes=30)
"""Whoever signed in or did something so short a time ago is taken to be there."""

_CONSOLE: Final = "console:"
_SIGNED_IN = select(
    exists().where(
        StaffSession.expires_at > bindparam("now", type_=StaffSession.expires_at.type),
        StaffSession.created_at > bindparam("since", type_=StaffSession.created_at.type),
    )
)
_ACTIVE = select(
    exists().where(
        AUDIT.c.at > bindparam("since", type_=AUDIT.c.at.type),
        or_(
            AUDIT.c.actor.startswith(_CONSOLE, autoescape=True), AUDIT.c.actor.in_(bindparam("admins", expanding=True))
        ),
    )
)
_HAS_ACCOUNTS = select(exists().where(Staff.disabled_at.is_(None), Staff.password_hash.is_not(None)))
_ASKED = select(
    exists().where(
        AUDIT.c.conversation_id == bindparam("conversation_id"),
        AUDIT.c.action == ASKED_FOR_A_HUMAN,
        AUDIT.c.at > bindparam("since", type_=AUDIT.c.at.type),
    )
)


def has_staff(session: Session, office: Office, hours: DutyHours | None) -> bool:
    """Whether anybody could ever answer: hours, admins in a chat, or accounts of the console."""
    return hours is not None or bool(office.admins) or bool(session.scalar(_HAS_ACCOUNTS))


def is_somebody_there(session: Session, office: Office, hours: DutyHours | None, *, now: datetime) -> bool:
    """By the hours; or because somebody signed in at the console, or did something there or in a chat, just now."""
    if hours is not None and hours.hold(now):
        return True
    admins: Collection[str] = [f"{admin.channel}:{admin.chat_id}" for admin in office.admins]
    since = now - PRESENCE
    return bool(
        session.scalar(_SIGNED_IN, {"now": now, "since": since})
        or session.scalar(_ACTIVE, {"since": since, "admins": admins})
    )


def was_asked_for(session: Session, conversation_id: UUID, *, since: datetime) -> bool:
    """Whether the staff were told already that this person wants a human."""
    return bool(session.scalar(_ASKED, {"conversation_id": conversation_id, "since": since}))
