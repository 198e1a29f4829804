"""Second factors of staff: authenticator apps (TOTP, RFC 6238), passkeys, and recovery codes in place of either.

Each function works in the caller's transaction, with its audit entry. An app's secret is sealed under a data key of the
member, which the master key wraps.
"""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

import pyotp
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from console import known_browsers
from console.sessions import SignedIn
from console.sessions import actor as actor_name
from dialogue.admin import audit
from dialogue.admin.audit import Whom
from dialogue.errors import DialogueError
from dialogue.storage.ids import new_id
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import Staff, StaffFactor, StaffRecoveryCode, StaffSession

APP = "app"
PASSKEY = "passkey"
RECOVERY_CODES = 10
_ISSUER = "MindGLM"
_STEP_SECONDS = 30
_CODE_BYTES = 10
_SECRET_BYTES = 20
"""As long as the hash of TOTP: RFC 4226, section 4."""
_SEALED = "staff_factors.secret"


class Given(StrEnum):
    """What a member verified themselves with."""

    CODE = "code"
    RECOVERY_CODE = "recovery_code"
    PASSKEY = "passkey"


class LastFactor(DialogueError):
    """The last second factor cannot be removed where one is required."""


def of(session: Session, staff_id: UUID) -> list[StaffFactor]:
    """A member's, oldest first."""
    return list(session.scalars(select(StaffFactor).where(StaffFactor.staff_id == staff_id).order_by(StaffFactor.id)))


def new_app_secret(keys: MasterKeys, signed_in: SignedIn, factors: Sequence[StaffFactor]) -> str:
    """The secret, in base32, of an app that this session is to confirm; the same until a factor was added or removed.

    Made from the master key and the session, so that showing it writes nothing.
    """
    known = ",".join(str(factor.id) for factor in factors)
    derived = keys.derived(f"authenticator app {signed_in.staff_id} {signed_in.seal('authenticator app')} {known}")
    return base64.b32encode(derived[:_SECRET_BYTES]).decode("ascii")


def uri(secret: str, name: str) -> str:
    """What an authenticator app reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)


def confirm_app(
    session: Session, keys: MasterKeys, signed_in: SignedIn, code: str, *, name: str, now: datetime
) -> bool:
    """The first code of a new app; False if it is wrong."""
    sealing = _key_of(session, keys, signed_in.staff_id)  # locks the member
    secret = new_app_secret(keys, signed_in, of(session, signed_in.staff_id))
    step = _step_of(secret, code, now=now)
    if step is None:
        return False
    factor_id = new_id()
    _insert(
        session,
        id=factor_id,
        staff_id=signed_in.staff_id,
        kind=APP,
        name=name[:64],
        secret=sealing.seal(secret, row=factor_id, column=_SEALED),
        counter=step,
        created_at=now,
        used_at=now,
    )
    return True


def add_passkey(
    session: Session, staff_id: UUID, *, credential_id: bytes, public_key: bytes, count: int, name: str, now: datetime
) -> None:
    """A passkey whose registration was verified."""
    _insert(
        session,
        id=new_id(),
        staff_id=staff_id,
        kind=PASSKEY,
        name=name[:64],
        secret=public_key,
        credential_id=credential_id,
        counter=count,
        created_at=now,
    )


def check_code(session: Session, keys: MasterKeys, staff_id: UUID, code: str, *, now: datetime) -> Given | None:
    """A code of an app or a recovery code, each of which is accepted once; None if it is neither."""
    sealing = _key_of(session, keys, staff_id)
    for factor in _apps(session, staff_id):
        step = _step_of(sealing.open(factor.secret, row=factor.id, column=_SEALED), code, now=now)
        if step is not None and step > factor.counter:
            factor.counter, factor.used_at = step, now
            session.flush()
            return Given.CODE
    spent = session.scalar(
        delete(StaffRecoveryCode)
        .where(StaffRecoveryCode.digest == _digest(code), StaffRecoveryCode.staff_id == staff_id)
        .returning(StaffRecoveryCode.digest)
    )
    if spent is None:
        return None
    _note(session, "recovery_code_used", staff_id, reason=f"left={recovery_codes_left(session, staff_id)}", now=now)
    return Given.RECOVERY_CODE


def renew_recovery_codes(session: Session, staff_id: UUID, *, now: datetime) -> list[str]:
    """New codes in place of the old ones; they are shown once."""
    session.execute(delete(StaffRecoveryCode).where(StaffRecoveryCode.staff_id == staff_id))
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    rows = [{"digest": _digest(code), "staff_id": staff_id, "created_at": now} for code in codes]
    session.execute(insert(StaffRecoveryCode), rows)
    _note(session, "recovery_codes_made", staff_id, reason=None, now=now)
    return codes


def recovery_codes_left(session: Session, staff_id: UUID) -> int:
    left = select(func.count()).select_from(StaffRecoveryCode).where(StaffRecoveryCode.staff_id == staff_id)
    return session.scalar(left) or 0


def remove(session: Session, staff_id: UUID, factor_id: UUID, *, is_required: bool, now: datetime) -> None:
    """Raises `LastFactor`."""
    session.execute(select(Staff.id).where(Staff.id == staff_id).with_for_update())
    found = of(session, staff_id)
    kind = next((one.kind for one in found if one.id == factor_id), None)
    if kind is None:
        return
    if is_required and len(found) == 1:
        raise LastFactor
    session.execute(delete(StaffFactor).where(StaffFactor.id == factor_id))
    _note(session, "second_factor_removed", staff_id, reason=kind, now=now)


def reset(session: Session, staff_id: UUID, *, actor: str, reason: str, now: datetime) -> None:
    """All factors and codes of a member go, and they are signed out; the next sign-in sets up a new one."""
    name = session.scalar(select(Staff.name).where(Staff.id == staff_id))
    for table in (StaffFactor, StaffRecoveryCode, StaffSession):
        session.execute(delete(table).where(table.staff_id == staff_id))
    known_browsers.forget_all(session, staff_id)
    told = f"{name}: {reason}" if reason else name
    audit.note(session, actor=actor, action="second_factor_reset", whom=Whom(), reason=told, now=now)


def _insert(session: Session, **values: Any) -> None:
    session.execute(insert(StaffFactor).values(**values))
    _note(session, "second_factor_added", values["staff_id"], reason=values["kind"], now=values["created_at"])


def _apps(session: Session, staff_id: UUID) -> list[StaffFactor]:
    """Locked, so that one code is not accepted twice at the same moment."""
    return list(
        session.scalars(
            select(StaffFactor)
            .where(StaffFactor.staff_id == staff_id, StaffFactor.kind == APP)
            .order_by(StaffFactor.id)
            .with_for_update()
        )
    )


def _key_of(session: Session, keys: MasterKeys, staff_id: UUID) -> PersonKey:
    """The member's key, made when it is needed first."""
    wrapped = session.scalar(select(Staff.data_key).where(Staff.id == staff_id).with_for_update())
    if wrapped is None:
        wrapped = keys.new_data_key(staff_id)
        session.execute(update(Staff).where(Staff.id == staff_id).values(data_key=wrapped))
    return keys.person_key(wrapped, staff_id)


def _step_of(secret: str, code: str, *, now: datetime) -> int | None:
    """The time step whose code this is: the current one, the one before or the one after (RFC 6238, section 5.2)."""
    digits = "".join(code.split())
    if not (digits.isascii() and digits.isdecimal()):
        return None
    totp, current = pyotp.TOTP(secret), int(now.timestamp()) // _STEP_SECONDS
    return next(
        (
            step
            for step in (current, current - 1, current + 1)
            if secrets.compare_digest(totp.generate_otp(step), digits)
        ),
        None,
    )


def _new_code() -> str:
    """80 random bits, in groups of four letters and digits."""
    text = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode("ascii").lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _digest(code: str) -> str:
    plain = "".join(character for character in code.casefold() if character.isalnum())
    return sha256(plain.encode()).hexdigest()


def _note(session: Session, action: str, staff_id: UUID, *, reason: str | None, now: datetime) -> None:
    name = session.scalar(select(Staff.name).where(Staff.id == staff_id)) or "?"
    audit.note(session, actor=actor_name(name), action=action, whom=Whom(), reason=reason, now=now)
