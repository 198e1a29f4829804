"""Signing in with name and password; `console.sign_in_throttle` limits the attempts."""

from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from console import accounts, passwords, sessions, sign_in_throttle
from console.sessions import Lifetimes
from dialogue.admin import audit
from dialogue.admin.audit import Whom
from dialogue.errors import DialogueError
from dialogue.storage.database import Database
from dialogue.tables import Staff

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class WrongPassword(DialogueError):
    """The name or the password is wrong."""


class TooManyTries(DialogueError):
    """Too many attempts; no further one is accepted before `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until


def sign_in(database: Database, *, name: str, password: str, address: str, lifetimes: Lifetimes, now: datetime) -> str:
    """The cookie of a new session; raises `WrongPassword`, `TooManyTries`."""
    member = confirm(database, name=name, password=password, address=address, now=now)
    with database.begin() as session:
        cookie = sessions.open_for(session, member.id, lifetimes, now=now)
        audit.note(
            session,
            actor=sessions.actor(member.name),
            action="staff_signed_in",
            whom=Whom(),
            reason=None,
            now=now,
        )
    return cookie


def confirm(database: Database, *, name: str, password: str, address: str, now: datetime) -> Staff:
    """Whose name and password they are; raises `WrongPassword`, `TooManyTries`.

    An attempt is counted before the password is checked, so that simultaneous guesses cannot slip through together.
    """
    folded = folded_name(name)
    with database.begin() as session:
        until = sign_in_throttle.count(session, name=folded, address=address, now=now)
    if until is not None:
        raise TooManyTries(until)
    with database.read() as session:
        member = accounts.by_name(session, folded)
    stored = member.password_hash if member is not None and member.disabled_at is None else None
    if not passwords.fits(stored, password) or member is None:
        log.warning("sign_in_failed", staff_id=str(member.id) if member else None)
        raise WrongPassword
    with database.begin() as session:
        sign_in_throttle.forgive(session, folded)
    return member


def forgive(session: Session, name: str) -> None:
    """Reset the attempts counted for that name."""
    sign_in_throttle.forgive(session, folded_name(name))


def folded_name(name: str) -> str:
    """The normalised name; an invalid one is shortened, so that it can be counted too."""
    try:
        return accounts.normalised(name)
    except accounts.BadName:
        return name[:64]
