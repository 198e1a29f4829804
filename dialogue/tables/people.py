"""Who wrote, and what they told us that is no part of a conversation."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from care.age import AgeBand
from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core, only_where


class Person(Table):
    """Someone who wrote, on one channel. Without `data_key` every text of theirs is unreadable for ever.

    An erasure removes the key and the user id, so that the same user becomes a new person; `scrubbed_at` says that
    the rows are gone too.

    `consent_version` is the notice they agreed to, `asked_version` the one they last saw; `declined_at` is set while
    they do not agree. `heard_at` is kept to within a few minutes only (care/visit.py).
    """

    __tablename__ = "people"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    channel: Mapped[str] = mapped_column(String(32))
    user_id: Mapped[str] = mapped_column(String(255))
    data_key: Mapped[bytes | None]
    created_at: Mapped[datetime]
    consent_version: Mapped[str | None] = mapped_column(String(32))
    consented_at: Mapped[datetime | None]
    asked_version: Mapped[str | None] = mapped_column(String(32))
    asked_at: Mapped[datetime | None]
    declined_at: Mapped[datetime | None]
    training_consented_at: Mapped[datetime | None]
    age_band: Mapped[AgeBand | None]
    visit_began_at: Mapped[datetime | None]
    heard_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    labelled_at: Mapped[datetime | None]
    blocked_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    alerts_muted_at: Mapped[datetime | None]  # an admin who wants no alerts in the chat
    scrubbed_at: Mapped[datetime | None]
    language: Mapped[str | None] = mapped_column(String(16))  # zh-Hans, zh-Hant, en
    course: Mapped[bytes | None]  # of danger, sealed: it outlives each conversation

    __table_args__ = (
        # intake finds or makes a person by it
        Index("uq_people_channel_user_id", "channel", "user_id", unique=True),
        # the housekeeper looks at people whose rows are still to go
        Index("ix_people_unscrubbed", "erased_at", **only_where("erased_at IS NOT NULL AND scrubbed_at IS NULL")),
    )


class EmergencyContact(Table):
    """Whom a person wants to be called when they are in danger (sealed); there only while they want it."""

    __tablename__ = "emergency_contacts"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"), primary_key=True)
    text: Mapped[bytes]
    given_at: Mapped[datetime]


class Complaint(Table):
    """A complaint (sealed), kept until an admin has settled it and its retention is over."""

    __tablename__ = "complaints"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    conversation_id: Mapped[UUID | None] = mapped_column(ForeignKey("conversations.id"))
    text: Mapped[bytes | None]
    made_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str | None] = mapped_column(String(255))

    __table_args__ = (
        # export, erasure
        Index("ix_complaints_person_id", "person_id"),
    )


PEOPLE = core(Person)
EMERGENCY_CONTACTS = core(EmergencyContact)
COMPLAINTS = core(Complaint)
