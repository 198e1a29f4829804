"""Staff accounts. Each change is a use case in the caller's transaction, with its audit entry."""

import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Whom
from dialogue.errors import DialogueError
from dialogue.states import Role
from dialogue.storage.ids import new_id
from dialogue.tables import Staff, StaffIdentity, StaffLink, StaffSession

LINK_LIFETIME = timedelta(hours=24)

_NAME = re.compile(r"[\w.@+-]{2,64}")


class BadName(DialogueError):
    """A name has 2 to 64 letters, digits, or . _ @ + -"""


class NameTaken(DialogueError):
    """That name is already taken."""


class LinkSpent(DialogueError):
    """The link has already been used or has expired."""


class LastAdmin(DialogueError):
    """The last admin cannot be removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The purpose of a one-time link; `staff_id` None creates the first admin."""

    digest: str
    staff_id: UUID | None
    name: str | None


def normalised(name: str) -> str:
    """The name as stored and compared; raises `BadName`."""
    name = unicodedata.normalize("NFKC", name).strip().casefold()
    if not _NAME.fullmatch(name):
        raise BadName
    return name


def add(
    session: Session, *, name: str, role: Role, locale: str, actor: str, now: datetime, password_hash: str | None = None
) -> UUID:
    """A new member of staff; raises `BadName`, `NameTaken`."""
    name, staff_id = normalised(name), new_id()
    values = {"name": name, "role": role, "locale": locale, "password_hash": password_hash, "created_at": now}
    try:
        with session.begin_nested():
            session.execute(insert(Staff).values(id=staff_id, **values))
    except IntegrityError:
        raise NameTaken from None
    _note(session, "staff_added", actor=actor, reason=f"{name} ({role})", now=now)
    return staff_id


def everyone(session: Session) -> list[Staff]:
    """All staff, by name."""
    return list(session.scalars(select(Staff).order_by(Staff.disabled_at.is_not(None), Staff.name)))


def colleagues(session: Session) -> list[str]:
    """The names of those who can attend to people."""
    able = (Staff.role != Role.VIEWER, Staff.disabled_at.is_(None), _CAN_SIGN_IN)
    return list(session.scalars(select(Staff.name).where(*able).order_by(Staff.name)))


def get(session: Session, staff_id: UUID) -> Staff | None:
    return session.get(Staff, staff_id)


def by_name(session: Session, name: str) -> Staff | None:
    return session.scalar(select(Staff).where(Staff.name == name))


def has_admin(session: Session) -> bool:
    """Whether there is an admin who can sign in."""
    return bool(session.scalar(select(exists().where(*_ABLE_ADMIN))))


def set_password(session: Session, staff_id: UUID, password_hash: str, *, actor: str, now: datetime) -> None:
    """Set a new password; ends all sessions and invalidates outstanding links."""
    session.execute(update(Staff).where(Staff.id == staff_id).values(password_hash=password_hash))
    _sign_out(session, staff_id)
    session.execute(delete(StaffLink).where(StaffLink.staff_id == staff_id))
    _note(session, "staff_password_set", actor=actor, reason=_name(session, staff_id), now=now)


def set_role(session: Session, staff_id: UUID, role: Role, *, actor: str, now: datetime) -> None:
    """Raises `LastAdmin`."""
    _lock_admins(session)
    session.execute(update(Staff).where(Staff.id == staff_id).values(role=role))
    _keep_an_admin(session)
    _note(session, "staff_role_set", actor=actor, reason=f"{_name(session, staff_id)} ({role})", now=now)


def disable(session: Session, staff_id: UUID, *, actor: str, now: datetime) -> None:
    """Sign them out and bar them from signing in; raises `LastAdmin`."""
    _lock_admins(session)
    session.execute(update(Staff).where(Staff.id == staff_id).values(disabled_at=now))
    _keep_an_admin(session)
    _sign_out(session, staff_id)
    session.execute(delete(StaffLink).where(StaffLink.staff_id == staff_id))
    _note(session, "staff_disabled", actor=actor, reason=_name(session, staff_id), now=now)


def enable(session: Session, staff_id: UUID, *, actor: str, now: datetime) -> None:
    session.execute(update(Staff).where(Staff.id == staff_id).values(disabled_at=None))
    _note(session, "staff_enabled", actor=actor, reason=_name(session, staff_id), now=now)


def prefer(session: Session, staff_id: UUID, *, locale: str, time_zone: str | None) -> None:
    """Set language and time zone."""
    session.execute(update(Staff).where(Staff.id == staff_id).values(locale=locale, time_zone=time_zone))


def make_link(session: Session, staff_id: UUID | None, *, actor: str, now: datetime) -> str:
    """Create a one-time link, replacing earlier ones for the same purpose; returns its token."""
    token = secrets.token_urlsafe(32)
    session.execute(delete(StaffLink).where(StaffLink.staff_id == staff_id if staff_id else _FOR_NOBODY_YET))
    session.execute(
        insert(StaffLink).values(
            digest=_digest(token), staff_id=staff_id, created_at=now, expires_at=now + LINK_LIFETIME
        )
    )
    if staff_id is not None:
        _note(session, "staff_link_made", actor=actor, reason=_name(session, staff_id), now=now)
    return token


def find_link(session: Session, token: str, *, now: datetime) -> Link:
    """The link's purpose; raises `LinkSpent`. A link for the first admin is invalid once there is one."""
    found = session.execute(
        select(StaffLink.digest, StaffLink.staff_id, Staff.name)
        .outerjoin(Staff, Staff.id == StaffLink.staff_id)
        .where(StaffLink.digest == _digest(token), StaffLink.expires_at > now, Staff.disabled_at.is_(None))
    ).first()
    if found is None or (found.staff_id is None and has_admin(session)):
        raise LinkSpent
    return Link(digest=found.digest, staff_id=found.staff_id, name=found.name)


def spend(session: Session, link: Link) -> None:
    """Use the link, atomically; raises `LinkSpent`."""
    spent = session.scalar(delete(StaffLink).where(StaffLink.digest == link.digest).returning(StaffLink.digest))
    if spent is None:
        raise LinkSpent


_CAN_SIGN_IN = or_(Staff.password_hash.is_not(None), exists().where(StaffIdentity.staff_id == Staff.id))
_ABLE_ADMIN = (Staff.role == Role.ADMIN, Staff.disabled_at.is_(None), _CAN_SIGN_IN)
_FOR_NOBODY_YET = StaffLink.staff_id.is_(None)


def _lock_admins(session: Session) -> None:
    """Two admins who demote each other at once must not both succeed."""
    session.scalars(select(Staff.id).where(Staff.role == Role.ADMIN).order_by(Staff.id).with_for_update()).all()


def _keep_an_admin(session: Session) -> None:
    if not session.scalar(select(func.count()).select_from(Staff).where(*_ABLE_ADMIN)):
        raise LastAdmin


def _note(session: Session, action: str, *, actor: str, reason: str | None, now: datetime) -> None:
    audit.note(session, actor=actor, action=action, whom=Whom(), reason=reason, now=now)


def _sign_out(session: Session, staff_id: UUID) -> None:
    session.execute(delete(StaffSession).where(StaffSession.staff_id == staff_id))


def _name(session: Session, staff_id: UUID) -> str | None:
    return session.scalar(select(Staff.name).where(Staff.id == staff_id))


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
