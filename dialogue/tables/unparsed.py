"""What a platform sent and nobody could parse."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core


class UnparsedUpdate(Table):
    """An update as it came, sealed for the person who sent it as far as that could be told; staff read it."""

    __tablename__ = "unparsed_updates"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    channel: Mapped[str] = mapped_column(String(32))
    external_id: Mapped[str] = mapped_column(String(255))
    error: Mapped[str] = mapped_column(String(64))
    content: Mapped[bytes]
    received_at: Mapped[datetime]
    read_at: Mapped[datetime | None]

    __table_args__ = (
        # a repeat of the same update is kept once
        Index("uq_unparsed_updates_channel_external_id", "channel", "external_id", unique=True),
        # erasure, export
        Index("ix_unparsed_updates_person_id", "person_id"),
    )


UNPARSED_UPDATES = core(UnparsedUpdate)
