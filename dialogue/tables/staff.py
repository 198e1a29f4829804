"""Who may use the web console, and in which browsers they are signed in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.states import Role
from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core


class Staff(Table):
    """Someone who may use the web console; without `password_hash` they have not followed their link yet.

    `data_key` seals the secrets of their second factors, as a person's seals their texts. `email` is the address by
    which single sign-on finds them for the first time.
    """

    __tablename__ = "staff"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(64))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    role: Mapped[Role]
    locale: Mapped[str] = mapped_column(String(8))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    data_key: Mapped[bytes | None]
    email: Mapped[str | None] = mapped_column(String(255))

    __table_args__ = (
        Index("uq_staff_name", "name", unique=True),
        # signing in through single sign-on for the first time
        Index("uq_staff_email", "email", unique=True),
    )


class StaffSession(Table):
    """A browser that is signed in. Of what its cookie holds only the digest is stored; `secret` signs its forms.

    `verified_at`: when the second factor was given. `challenge`: what a passkey signed last. `opened_by`: how the
    session began, where it was not with a password.
    """

    __tablename__ = "staff_sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    secret: Mapped[bytes]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
    challenge: Mapped[bytes | None]
    opened_by: Mapped[str | None] = mapped_column(String(16))

    __table_args__ = (
        # revoking: all of one member's at once
        Index("ix_staff_sessions_staff_id", "staff_id"),
    )


class StaffLink(Table):
    """A link that works once: it lets a member choose a password, or (of nobody yet) makes the first admin."""

    __tablename__ = "staff_links"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class StaffFactor(Table):
    """A second factor: an authenticator app (`secret` is sealed) or a passkey (`secret` is its public key).

    `counter` is the last time step whose code was used, or the passkey's number of signatures.
    """

    __tablename__ = "staff_factors"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(64))
    secret: Mapped[bytes]
    credential_id: Mapped[bytes | None]
    counter: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (
        # signing in: all of one member
        Index("ix_staff_factors_staff_id", "staff_id"),
    )


class StaffRecoveryCode(Table):
    """A code that replaces the second factor once; only its digest is stored."""

    __tablename__ = "staff_recovery_codes"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]

    __table_args__ = (
        # renewing: all of one member
        Index("ix_staff_recovery_codes_staff_id", "staff_id"),
    )


class StaffBrowser(Table):
    """A browser in which a member signed in completely: others' wrong passwords do not lock it out."""

    __tablename__ = "staff_browsers"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    expires_at: Mapped[datetime]

    __table_args__ = (
        # forgetting: all of one member
        Index("ix_staff_browsers_staff_id", "staff_id"),
    )


class StaffIdentity(Table):
    """Who a member is at a single sign-on; its subject never changes, as an address may."""

    __tablename__ = "staff_identities"

    issuer: Mapped[str] = mapped_column(String(255), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    connected_at: Mapped[datetime]

    __table_args__ = (
        # one member is one subject of an issuer
        Index("uq_staff_identities_staff_id", "staff_id", "issuer", unique=True),
    )


class ResetOrder(Table):
    """An admin ordered in the chat that all conversations end; the row goes when it is done, and they are told.

    `after_id` is the last conversation that was looked at; the address is the admin's private chat.
    """

    __tablename__ = "reset_orders"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    ordered_at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str | None] = mapped_column(String(255))
    channel: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(255), default="", server_default="")
    chat_id: Mapped[str] = mapped_column(String(255))
    after_id: Mapped[UUID]
    ended_count: Mapped[int]


class SignInTries(Table):
    """How often a name or an address tried to sign in since `started_at`; both are kept as digests."""

    __tablename__ = "sign_in_tries"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int]
    started_at: Mapped[datetime]


RESET_ORDERS = core(ResetOrder)
