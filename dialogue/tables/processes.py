"""What runs on this database, and which versions may."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Figure, Table, core


class Process(Table):
    """A running process, as of its last heartbeat. Nothing refers to it; old rows are deleted."""

    __tablename__ = "processes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(255))
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    version: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    figures: Mapped[dict[str, Figure]]
    # ids of its master keys, the wrapping one first, with commas; null: an earlier version, which does not say
    key_ids: Mapped[str | None] = mapped_column(String(255))


class Compatibility(Table):
    """Which schema a version must know at least to serve this database: one row, changed when something goes away."""

    __tablename__ = "compatibility"

    oldest_schema: Mapped[str] = mapped_column(String(32), primary_key=True)


PROCESSES = core(Process)
