"""How far each account was read, on channels whose platform is asked for what came."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core


class ChannelCursor(Table):
    """One of our accounts on such a channel (`dialogue.core.cursors`).

    `notice_count` grows with each notice that something came; `pulled_count` is what it was when the last complete pull
    began. `pull_token` is the platform's leave to pull, until `pull_until`. `owner` pulls until `lease_until`.
    """

    __tablename__ = "channel_cursors"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    channel: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(255))
    cursor: Mapped[str | None] = mapped_column(String(255))
    first_seen_at: Mapped[datetime]
    notice_count: Mapped[int]
    pulled_count: Mapped[int]
    noticed_at: Mapped[datetime | None]
    pulled_at: Mapped[datetime | None]
    pull_token: Mapped[str | None] = mapped_column(String(255))
    pull_until: Mapped[datetime | None]
    owner: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]

    __table_args__ = (
        # the puller asks for one account, and who is behind looks at all of a channel
        Index("uq_channel_cursors_channel_account", "channel", "account", unique=True),
    )


CHANNEL_CURSORS = core(ChannelCursor)
