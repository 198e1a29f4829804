"""Signing in with name and password; `console.sign_in_throttle` limits the attempts, and failures are in the audit."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from console import accounts, known_browsers, passwords, sessions, sign_in_throttle
from console.sessions import Lifetimes
from console.sign_in_throttle import Limits
from dialogue.admin import audit
from dialogue.admin.audit import Whom
from dialogue.errors import DialogueError
from dialogue.storage.database import Database
from dialogue.tables import Staff

log: structlog.stdlib.BoundLogger = structlog.get_logger()

FAILED = "sign_in_failed"


class WrongPassword(DialogueError):
    """The name or the password is wrong."""


class TooManyTries(DialogueError):
    """Too many attempts; no further one is accepted before `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Where an attempt comes from; `browser` is the cookie of a browser in which somebody signed in before."""

    address: str
    browser: str | None = None


def sign_in(
    database: Database, *, name: str, password: str, attempt: Attempt, lifetimes: Lifetimes, now: datetime
) -> str:
    """The cookie of a new session, without its second factor; raises `WrongPassword`, `TooManyTries`."""
    member = confirm(database, name=name, password=password, attempt=attempt, now=now)
    with database.begin() as session:
        cookie = sessions.open_for(session, member.id, lifetimes, now=now)
        note(session, action="staff_signed_in", actor=member.name, address=attempt.address, now=now)
    return cookie


def confirm(database: Database, *, name: str, password: str, attempt: Attempt, now: datetime) -> Staff:
    """Whose name and password they are; raises `WrongPassword`, `TooManyTries`.

    An attempt is counted before the password is checked, so that simultaneous guesses cannot slip through together.
    """
    folded = folded_name(name)
    with database.begin() as session:
        member = accounts.by_name(session, folded)
        counted = _limits(session, folded, member.id if member else None, attempt, now=now)
        until = sign_in_throttle.count(session, counted, now=now)
    known_name = member.name if member is not None else None
    if until is not None:
        log.warning("sign_in_locked", address=attempt.address)
        raise TooManyTries(until)
    stored = member.password_hash if member is not None and member.disabled_at is None else None
    if not passwords.fits(stored, password) or member is None:
        log.warning("sign_in_failed", staff_id=str(member.id) if member else None, address=attempt.address)
        with database.begin() as session:
            note(session, action=FAILED, actor=known_name, address=attempt.address, now=now)
        raise WrongPassword
    with database.begin() as session:
        sign_in_throttle.forgive(session, counted)
    return member


def note(
    session: Session, *, action: str, actor: str | None, address: str, now: datetime, way: str | None = None
) -> None:
    """In the audit, with the address; the name only of somebody who exists, because people type passwords into it.

    `way`: how, if not with a password.
    """
    who = sessions.actor(actor) if actor is not None else "console"
    reason = f"{address[:64]} ({way})" if way else address[:64]
    audit.note(session, actor=who, action=action, whom=Whom(), reason=reason, now=now)


def provider_limits(session: Session, attempt: Attempt, *, now: datetime) -> Limits:
    """What coming back from single sign-on counts against; passwords are counted apart, so neither locks the other."""
    known = None
    if attempt.browser and known_browsers.is_anybodys(session, attempt.browser, now=now):
        known = known_browsers.digest(attempt.browser)
    return sign_in_throttle.provider_limits(address=attempt.address, known_browser=known)


def forgive(session: Session, name: str) -> None:
    """Reset the attempts counted for that name."""
    sign_in_throttle.forgive_name(session, folded_name(name))


def folded_name(name: str) -> str:
    """The normalised name; an invalid one is shortened, so that it can be counted too."""
    try:
        return accounts.normalised(name)
    except accounts.BadName:
        return name[:64]


def _limits(session: Session, name: str, staff_id: UUID | None, attempt: Attempt, *, now: datetime) -> Limits:
    known = None
    if attempt.browser and staff_id and known_browsers.is_known(session, staff_id, attempt.browser, now=now):
        known = known_browsers.digest(attempt.browser)
    return sign_in_throttle.limits(name=name, address=attempt.address, known_browser=known)
