"""Who did what to whom."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core


class AuditEntry(Table):
    """Who did what to whom, when and why; never a text. Append only."""

    __tablename__ = "audit"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))
    person_id: Mapped[UUID | None]
    conversation_id: Mapped[UUID | None]
    reason: Mapped[str | None] = mapped_column(String(255))

    __table_args__ = (
        # the newest first
        Index("ix_audit_at", "at"),
        # what was done to one conversation, or to one person
        Index("ix_audit_conversation_id_id", "conversation_id", "id"),
        Index("ix_audit_person_id_id", "person_id", "id"),
        # what somebody did, and what was done of one kind (the newest alarms), however rare
        Index("ix_audit_actor_id", "actor", "id"),
        Index("ix_audit_action_id", "action", "id"),
    )


AUDIT = core(AuditEntry)
