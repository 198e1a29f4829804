"""What a person showed while a human answered them: pictures, voice, files."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.states import MediumKind, MediumLoss, MediumState
from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core, only_where


class Medium(Table):
    """One of them. `reference` is what the channel fetches it by, `name` a file's; both are sealed, as the chunks are.

    `size` is in bytes, as far as it is known; `content_type` is what the content says of itself. Whoever fetches it has
    raised `attempt`, and holds it until `next_attempt_at`.
    """

    __tablename__ = "media"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id"))
    channel: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(255))
    external_id: Mapped[str] = mapped_column(String(255))
    kind: Mapped[MediumKind]
    state: Mapped[MediumState]
    loss: Mapped[MediumLoss | None]
    reference: Mapped[bytes | None]
    name: Mapped[bytes | None]
    size: Mapped[int | None]
    content_type: Mapped[str | None] = mapped_column(String(64))
    attempt: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    received_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]

    __table_args__ = (
        # an adapter looks for what it shall fetch, among few rows, however many are kept
        Index("ix_media_wanted", "channel", "next_attempt_at", **only_where("state = 'wanted'")),
        # a transcript; the retention
        Index("ix_media_conversation_id", "conversation_id"),
        # erasure, export, and a message that was taken back
        Index("ix_media_person_id", "person_id"),
    )


class MediumChunk(Table):
    """A piece of the content, so that no transaction writes much."""

    __tablename__ = "medium_chunks"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    medium_id: Mapped[UUID] = mapped_column(ForeignKey("media.id"))
    seq: Mapped[int]
    content: Mapped[bytes]

    __table_args__ = (
        # in their order, each once
        Index("uq_medium_chunks_medium_id_seq", "medium_id", "seq", unique=True),
    )


MEDIA = core(Medium)
MEDIUM_CHUNKS = core(MediumChunk)
