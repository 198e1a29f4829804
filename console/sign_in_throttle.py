"""Limits sign-in attempts by name and by address; the counts are rows, so they survive a restart."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import case, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from dialogue.tables import SignInTries

WINDOW = timedelta(minutes=15)
MAX_TRIES_OF_A_NAME = 8
MAX_TRIES_OF_AN_ADDRESS = 30


def count(session: Session, *, name: str, address: str, now: datetime) -> datetime | None:
    """Count one attempt; returns the end of the lockout if there were too many for the name or the address."""
    return _count(session, _limits(name, address), now=now)


def forgive(session: Session, name: str) -> None:
    """Reset the attempts counted for that name."""
    session.execute(delete(SignInTries).where(SignInTries.key == _key("name", name)))


def _count(session: Session, limits: Iterable[tuple[str, int]], *, now: datetime) -> datetime | None:
    """Count one attempt for each key."""
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
    """Always in the same order, so that two simultaneous sign-ins cannot deadlock."""
    limits = [
        (_key("name", name), MAX_TRIES_OF_A_NAME),
        (_key("address", address), MAX_TRIES_OF_AN_ADDRESS),
    ]
    return sorted(limits)


def _key(kind: str, value: str) -> str:
    """Hashed, because people type passwords into the name field."""
    return sha256(f"{kind}:{value}".encode()).hexdigest()
