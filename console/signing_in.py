"""Name and password, with a limit on tries for each name and each address that outlives a restart."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256

import structlog
from sqlalchemy import case, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from console import accounts, passwords, sessions
from console.sessions import Lifetimes
from dialogue.admin import audit
from dialogue.admin.audit import Whom
from dialogue.errors import DialogueError
from dialogue.storage.database import Database
from dialogue.tables import SignInTries

WINDOW = timedelta(minutes=15)
MAX_TRIES_OF_A_NAME = 8
MAX_TRIES_OF_AN_ADDRESS = 30

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class WrongPassword(DialogueError):
    """Name and password do not belong together."""


class TooManyTries(DialogueError):
    """Too many tries; none counts before `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until


def sign_in(database: Database, *, name: str, password: str, address: str, lifetimes: Lifetimes, now: datetime) -> str:
    """The cookie of a new session; raises `WrongPassword`, `TooManyTries`.

    A try is counted before the password is looked at: guesses that come at once do not slip through together.
    """
    with database.begin() as session:
        until = _count(session, _limits(name, address), now=now)
    if until is not None:
        raise TooManyTries(until)
    with database.read() as session:
        member = accounts.by_name(session, _folded(name))
    stored = member.password_hash if member is not None and member.disabled_at is None else None
    if not passwords.fits(stored, password) or member is None:
        log.warning("sign_in_failed", staff_id=str(member.id) if member else None)
        raise WrongPassword
    with database.begin() as session:
        forgive(session, name)
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


def forgive(session: Session, name: str) -> None:
    """The tries of that name count no more."""
    session.execute(delete(SignInTries).where(SignInTries.key == _key("name", _folded(name))))


def _count(session: Session, limits: Iterable[tuple[str, int]], *, now: datetime) -> datetime | None:
    """Count one try for each key; returns until when none counts, if there were too many of one."""
    session.execute(delete(SignInTries).where(SignInTries.started_at <= now - WINDOW))
    blocked_until = None
    for key, max_count in limits:
        count, started_at = _add_one(session, key, now=now)
        if count > max_count:
            blocked_until = max(blocked_until or started_at, started_at + WINDOW)
    return blocked_until


def _add_one(session: Session, key: str, *, now: datetime) -> tuple[int, datetime]:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    is_over = SignInTries.started_at <= now - WINDOW
    statement = dialect.insert(SignInTries).values(key=key, count=1, started_at=now)
    counted = session.execute(
        statement.on_conflict_do_update(
            index_elements=[SignInTries.key],
            set_={
                "count": case((is_over, 1), else_=SignInTries.count + 1),
                "started_at": case((is_over, now), else_=SignInTries.started_at),
            },
        ).returning(SignInTries.count, SignInTries.started_at)
    ).one()
    return counted[0], counted[1]


def _limits(name: str, address: str) -> list[tuple[str, int]]:
    """In one order for everybody: two sign-ins at once never wait for each other's rows in a circle."""
    limits = [
        (_key("name", _folded(name)), MAX_TRIES_OF_A_NAME),
        (_key("address", address), MAX_TRIES_OF_AN_ADDRESS),
    ]
    return sorted(limits)


def _folded(name: str) -> str:
    try:
        return accounts.normalised(name)
    except accounts.BadName:
        return name[:64]


def _key(kind: str, value: str) -> str:
    """People type passwords into the field for names: what is kept says neither."""
    return sha256(f"{kind}:{value}".encode()).hexdigest()
