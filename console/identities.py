"""Which member of staff somebody is who comes through single sign-on.

The subject decides. Only before a member is connected does a verified e-mail address find them, and only once: an
address that the provider gives to somebody else later opens nothing. Roles are ours alone.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from console.single_sign_on import VerifiedIdentity, folded_email
from dialogue.admin import audit
from dialogue.admin.audit import Whom
from dialogue.errors import DialogueError
from dialogue.tables import Staff, StaffIdentity, StaffSession

_MAX_EMAIL_LENGTH = 255


class BadEmail(DialogueError):
    """That is no e-mail address, or another member has it."""


class IdentityTaken(DialogueError):
    """That identity is connected to another member, or the member to another identity."""


def member(session: Session, identity: VerifiedIdentity) -> Staff | None:
    """The member that is connected to this identity, whether or not they may sign in."""
    return session.scalar(
        select(Staff)
        .join(StaffIdentity, StaffIdentity.staff_id == Staff.id)
        .where(StaffIdentity.issuer == identity.issuer, StaffIdentity.subject == identity.subject)
    )


def expected(session: Session, identity: VerifiedIdentity) -> Staff | None:
    """The member with that verified address, if they are not connected yet."""
    if identity.email is None:
        return None
    is_connected = exists().where(StaffIdentity.staff_id == Staff.id, StaffIdentity.issuer == identity.issuer)
    return session.scalar(select(Staff).where(Staff.email == identity.email, ~is_connected))


def connect(session: Session, staff_id: UUID, identity: VerifiedIdentity, *, actor: str, now: datetime) -> None:
    """From now on that subject is this member; raises `IdentityTaken`."""
    values = {"issuer": identity.issuer, "subject": identity.subject, "staff_id": staff_id, "connected_at": now}
    try:
        with session.begin_nested():
            session.execute(insert(StaffIdentity).values(values))
    except IntegrityError:
        raise IdentityTaken from None
    _note(session, "staff_identity_connected", staff_id, actor=actor, now=now)


def connected(session: Session, issuer: str) -> set[UUID]:
    """The members that are connected."""
    return set(session.scalars(select(StaffIdentity.staff_id).where(StaffIdentity.issuer == issuer)))


def disconnect(session: Session, staff_id: UUID, *, actor: str, now: datetime) -> None:
    """Their identities no longer open anything; they are signed out."""
    removed = session.scalars(
        delete(StaffIdentity).where(StaffIdentity.staff_id == staff_id).returning(StaffIdentity.subject)
    ).all()
    if removed:
        session.execute(delete(StaffSession).where(StaffSession.staff_id == staff_id))
        _note(session, "staff_identity_removed", staff_id, actor=actor, now=now)


def set_email(session: Session, staff_id: UUID, address: str, *, actor: str, now: datetime) -> None:
    """The address by which they are found the first time, empty for none; raises `BadEmail`."""
    email = folded_email(address)
    if email and (
        len(email) > _MAX_EMAIL_LENGTH or not email.isprintable() or not 0 < email.find("@") < len(email) - 1
    ):
        raise BadEmail
    try:
        with session.begin_nested():
            session.execute(update(Staff).where(Staff.id == staff_id).values(email=email or None))
    except IntegrityError:
        raise BadEmail from None
    _note(session, "staff_email_set", staff_id, actor=actor, now=now)


def _note(session: Session, action: str, staff_id: UUID, *, actor: str, now: datetime) -> None:
    name = session.scalar(select(Staff.name).where(Staff.id == staff_id))
    audit.note(session, actor=actor, action=action, whom=Whom(), reason=name, now=now)
