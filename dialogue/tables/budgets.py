"""What a platform lets us send to a chat until its person writes again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core, only_where


class SendBudget(Table):
    """The allowance of one address on a channel that limits sending (`dialogue.core.budgets`).

    `grant_id` changes with each message that renews it; deliveries that were sent by it carry its id. `refused_at`: the
    platform itself has said that nothing more is taken. `person_id` is empty for an address that nobody wrote from.

    `has_colleagues`: humans may answer there in the platform's own app. `platform_holder` is one who does, where we may
    not speak meanwhile; since `platform_holder_at`, which also says when that ended. `platform_wanted_at`: one is to be
    called.
    """

    __tablename__ = "send_budgets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    channel: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(255))
    chat_id: Mapped[str] = mapped_column(String(255))
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"))
    grant_id: Mapped[UUID]
    sends: Mapped[int]
    granted_at: Mapped[datetime]
    until: Mapped[datetime]
    refused_at: Mapped[datetime | None]
    has_colleagues: Mapped[bool] = mapped_column(default=False, server_default=false())
    platform_holder: Mapped[str | None] = mapped_column(String(255))
    platform_holder_at: Mapped[datetime | None]
    platform_wanted_at: Mapped[datetime | None]

    __table_args__ = (
        # intake renews it, the courier asks it
        Index("uq_send_budgets_channel_chat_id_account", "channel", "chat_id", "account", unique=True),
        # whom humans of the platform are to answer
        Index("ix_send_budgets_wanted", "channel", **only_where("platform_wanted_at IS NOT NULL")),
        # erasure
        Index("ix_send_budgets_person_id", "person_id"),
    )


SEND_BUDGETS = core(SendBudget)
