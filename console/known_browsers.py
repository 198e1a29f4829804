"""Browsers in which a member has signed in completely, by a cookie of their own; only its digest is stored."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from dialogue.tables import StaffBrowser

LIFETIME = timedelta(days=180)


def remember(session: Session, staff_id: UUID, token: str | None, *, now: datetime) -> str:
    """Returns the cookie; one that is known already stays."""
    session.execute(delete(StaffBrowser).where(StaffBrowser.expires_at <= now))
    if token is not None and is_known(session, staff_id, token, now=now):
        return token
    token = secrets.token_urlsafe(32)
    session.execute(insert(StaffBrowser).values(digest=digest(token), staff_id=staff_id, expires_at=now + LIFETIME))
    return token


def is_known(session: Session, staff_id: UUID, token: str, *, now: datetime) -> bool:
    """Whether this member used that browser before."""
    found = select(StaffBrowser.digest).where(
        StaffBrowser.digest == digest(token), StaffBrowser.staff_id == staff_id, StaffBrowser.expires_at > now
    )
    return session.scalar(found) is not None


def is_anybodys(session: Session, token: str, *, now: datetime) -> bool:
    """Whether any member used that browser before."""
    found = select(StaffBrowser.digest).where(StaffBrowser.digest == digest(token), StaffBrowser.expires_at > now)
    return session.scalar(found) is not None


def forget_all(session: Session, staff_id: UUID) -> None:
    """Of one member, whose access is reset."""
    session.execute(delete(StaffBrowser).where(StaffBrowser.staff_id == staff_id))


def digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
