"""Chats to which their platform gave another id."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core


class ChatMove(Table):
    """What was at `chat_id` is now at `new_chat_id` (`dialogue.core.chat_moves`); both name a group."""

    __tablename__ = "chat_moves"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    channel: Mapped[str] = mapped_column(String(32))
    chat_id: Mapped[str] = mapped_column(String(255))
    new_chat_id: Mapped[str] = mapped_column(String(255))
    moved_at: Mapped[datetime]

    __table_args__ = (
        # every message of a group asks
        Index("uq_chat_moves_channel_chat_id", "channel", "chat_id", unique=True),
    )


CHAT_MOVES = core(ChatMove)
