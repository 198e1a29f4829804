"""Sign-in sessions. The cookie is `token.stamp.seal`; only the token's digest is stored.

A password opens a session that can do nothing but give the second factor, or set one up where it is required.

A session ends after a fixed time, or earlier after an idle timeout. The stamp is the time of the last activity; it is
in the cookie, sealed by the session's secret, so that viewing a page writes nothing to the database.
"""

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session

from dialogue.states import Role
from dialogue.tables import Staff, StaffFactor, StaffSession

_SECRET_BYTES = 32
_PARTS = 3
_CHALLENGE_SECONDS = 300

_FIND = (
    select(
        StaffSession.secret,
        StaffSession.expires_at,
        StaffSession.verified_at,
        StaffSession.opened_by,
        exists().where(StaffFactor.staff_id == Staff.id).label("has_factor"),
        Staff.id,
        Staff.name,
        Staff.role,
        Staff.locale,
        Staff.time_zone,
    )
    .join(Staff, Staff.id == StaffSession.staff_id)
    .where(StaffSession.digest == bindparam("digest"), Staff.disabled_at.is_(None))
)


class Standing(StrEnum):
    """How far somebody has signed in."""

    ENROL = "enrol"  # a second factor is required and there is none yet
    VERIFY = "verify"  # the second factor is to be given
    DONE = "done"


class OpenedBy(StrEnum):
    """How a session began that did not begin with a password."""

    PROVIDER = "provider"
    VOUCHED = "vouched"  # the provider's second factor counts as ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long a session may last in total and without activity, and whether reading words takes a second factor."""

    whole: timedelta
    idle: timedelta
    requires_second: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A member of staff in one browser."""

    standing: Standing
    verified_at: datetime | None
    opened_by: str | None
    staff_id: UUID
    name: str
    role: Role
    locale: str
    time_zone: str | None
    expires_at: datetime
    token: str = field(repr=False)
    secret: bytes = field(repr=False)

    @property
    def actor(self) -> str:
        """The actor's name in the audit."""
        return actor(self.name)

    def may(self, role: Role) -> bool:
        return self.role.rank >= role.rank

    def form_token(self) -> str:
        """The CSRF token of this session's forms."""
        return _seal(self.secret, "form")

    def seal(self, text: str) -> str:
        """What only this session can have made of that text."""
        return _seal(self.secret, text)

    def cookie(self, *, now: datetime) -> str:
        """A cookie with the current time as last activity."""
        return _cookie(self.token, self.secret, now)


def actor(name: str) -> str:
    """How the audit names a member of staff."""
    return f"console:{name}"


def open_for(
    session: Session,
    staff_id: UUID,
    lifetimes: Lifetimes,
    *,
    now: datetime,
    verified_at: datetime | None = None,
    opened_by: str | None = None,
) -> str:
    """Sign a browser in; returns its cookie. Also deletes all expired sessions."""
    token, secret = secrets.token_urlsafe(32), secrets.token_bytes(_SECRET_BYTES)
    session.execute(delete(StaffSession).where(StaffSession.expires_at <= now))
    session.execute(
        insert(StaffSession).values(
            digest=_digest(token),
            staff_id=staff_id,
            secret=secret,
            created_at=now,
            expires_at=now + lifetimes.whole,
            verified_at=verified_at,
            opened_by=opened_by,
        )
    )
    return _cookie(token, secret, now)


def find_idle(session: Session, cookie: str | None, lifetimes: Lifetimes, *, now: datetime) -> SignedIn | None:
    """The session of that cookie, if it has ended only because of the idle timeout."""
    found = _genuine(session, cookie, lifetimes, now=now)
    return found[0] if found is not None and not _is_awake(found[1], lifetimes, now) else None


def find(session: Session, cookie: str | None, lifetimes: Lifetimes, *, now: datetime) -> SignedIn | None:
    """The session of that cookie, if it is still valid."""
    found = _genuine(session, cookie, lifetimes, now=now)
    return found[0] if found is not None and _is_awake(found[1], lifetimes, now) else None


def _is_awake(stamp: int, lifetimes: Lifetimes, now: datetime) -> bool:
    return now.timestamp() - stamp <= lifetimes.idle.total_seconds()


def _genuine(
    session: Session, cookie: str | None, lifetimes: Lifetimes, *, now: datetime
) -> tuple[SignedIn, int] | None:
    """Whose cookie it is, and the time of their last activity, whatever the idle timeout says."""
    parts = (cookie or "").split(".")
    if len(parts) != _PARTS or not (parts[1].isascii() and parts[1].isdecimal()):
        return None
    token, stamp, seal = parts
    found = session.execute(_FIND, {"digest": _digest(token)}).first()
    if found is None or found.expires_at <= now:
        return None
    is_genuine = hmac.compare_digest(seal.encode(), _seal(found.secret, f"stamp {stamp}").encode())
    if not is_genuine:
        return None
    signed_in = SignedIn(
        standing=_standing(found, lifetimes),
        verified_at=found.verified_at,
        opened_by=found.opened_by,
        staff_id=found.id,
        name=found.name,
        role=found.role,
        locale=found.locale,
        time_zone=found.time_zone,
        expires_at=found.expires_at,
        token=token,
        secret=found.secret,
    )
    return signed_in, int(stamp)


def verify(session: Session, signed_in: SignedIn, *, now: datetime) -> None:
    """The second factor was given in this session."""
    session.execute(update(StaffSession).where(StaffSession.digest == _digest(signed_in.token)).values(verified_at=now))


def challenges(signed_in: SignedIn, *, now: datetime) -> tuple[bytes, ...]:
    """What a passkey may have been asked to sign in this session: now, and in the minutes before.

    Made from the session's secret, so that showing the question writes nothing.
    """
    period = int(now.timestamp()) // _CHALLENGE_SECONDS
    return tuple(bytes.fromhex(signed_in.seal(f"passkey {one}")) for one in (period, period - 1))


def spend_challenge(session: Session, signed_in: SignedIn, challenge: bytes) -> bool:
    """Whether it was not answered before."""
    spent = session.scalar(
        update(StaffSession)
        .where(
            StaffSession.digest == _digest(signed_in.token),
            or_(StaffSession.challenge.is_(None), StaffSession.challenge != challenge),
        )
        .values(challenge=challenge)
        .returning(StaffSession.digest)
    )
    return spent is not None


def end(session: Session, signed_in: SignedIn) -> None:
    session.execute(delete(StaffSession).where(StaffSession.digest == _digest(signed_in.token)))


def end_others(session: Session, signed_in: SignedIn) -> None:
    """End all other sessions of the same member."""
    session.execute(
        delete(StaffSession).where(
            StaffSession.staff_id == signed_in.staff_id, StaffSession.digest != _digest(signed_in.token)
        )
    )


def _standing(found: Any, lifetimes: Lifetimes) -> Standing:
    if found.opened_by == OpenedBy.VOUCHED:
        return Standing.DONE
    if not found.has_factor:
        return (
            Standing.ENROL if lifetimes.requires_second and found.role.rank >= Role.COUNSELLOR.rank else Standing.DONE
        )
    return Standing.VERIFY if found.verified_at is None else Standing.DONE


def _cookie(token: str, secret: bytes, now: datetime) -> str:
    stamp = str(int(now.timestamp()))
    return f"{token}.{stamp}.{_seal(secret, f'stamp {stamp}')}"


def _seal(secret: bytes, text: str) -> str:
    return hmac.new(secret, text.encode(), sha256).hexdigest()


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
