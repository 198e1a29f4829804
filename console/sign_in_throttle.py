"""Limits sign-in attempts; the counts are rows, so they survive a restart.

Nobody can lock another out: a browser in which the member signed in before has a count of its own, and elsewhere the
count of a name is kept for each address. The count of a name over all addresses only stops guessing from many of them.
"""

from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import case, delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from dialogue.tables import SignInTries

WINDOW = timedelta(minutes=15)
MAX_TRIES_OF_A_NAME = 8
MAX_TRIES_OF_AN_ADDRESS = 30
MAX_TRIES_EVERYWHERE = 100
MAX_CODES = 8

Limits = list[tuple[str, int]]
"""Keys with their largest counts; always in the same order, so that two simultaneous sign-ins cannot deadlock."""


def limits(*, name: str, address: str, known_browser: str | None) -> Limits:
    """What an attempt counts against; `known_browser` is the digest of a browser that this member used before."""
    if known_browser is not None:
        return [(_key("browser", known_browser), MAX_TRIES_OF_A_NAME)]
    return sorted(
        [
            (_key("name at address", f"{name} {address}"), MAX_TRIES_OF_A_NAME),
            (_key("name", name), MAX_TRIES_EVERYWHERE),
            (_key("address", address), MAX_TRIES_OF_AN_ADDRESS),
        ]
    )


def code_limits(staff_id: str) -> Limits:
    """What a wrong second factor counts against; only who knows the password comes so far."""
    return [(_key("second factor", staff_id), MAX_CODES)]


def provider_limits(*, address: str, known_browser: str | None) -> Limits:
    """What coming back from single sign-on counts against."""
    if known_browser is not None:
        return [(_key("provider browser", known_browser), MAX_TRIES_OF_AN_ADDRESS)]
    return [(_key("provider address", address), MAX_TRIES_OF_AN_ADDRESS)]


def count(session: Session, counted: Limits, *, now: datetime) -> datetime | None:
    """Count one attempt; returns the end of the lockout if there were too many."""
    session.execute(delete(SignInTries).where(SignInTries.started_at <= now - WINDOW))
    blocked_until = None
    for key, max_count in counted:
        total, started_at = _add_one(session, key, now=now)
        if total > max_count:
            blocked_until = max(blocked_until or started_at, started_at + WINDOW)
    return blocked_until


def forgive(session: Session, counted: Limits) -> None:
    """A success: what was counted for this member here is forgotten, and for the others one attempt is taken back.

    A whole centre may sign in from one address, and an account of one's own must not buy tries at other names.
    """
    for key, max_count in counted:
        if max_count in {MAX_TRIES_OF_A_NAME, MAX_CODES}:
            session.execute(delete(SignInTries).where(SignInTries.key == key))
        else:
            one_less = update(SignInTries).where(SignInTries.key == key, SignInTries.count > 0)
            session.execute(one_less.values(count=SignInTries.count - 1))


def forgive_name(session: Session, name: str) -> None:
    """An admin vouches for the member: the count over all addresses goes; a new password is given with it."""
    session.execute(delete(SignInTries).where(SignInTries.key == _key("name", name)))


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


def _key(kind: str, value: str) -> str:
    """Hashed, because people type passwords into the name field."""
    return sha256(f"{kind}:{value}".encode()).hexdigest()
