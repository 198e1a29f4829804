"""What a platform lets us send to a chat until its person writes again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core


class SendBudget(Table):
    """The allowance of one address on a channel that limits sending (`dialogue.core.budgets`).

    `grant_id` changes with each message that renews it; deliveries that were sent by it carry its id. `refused_at`: the
    platform itself has said that nothing more is taken. `person_id` is empty for an address that nobody wrote from.
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

    __table_args__ = (
        # intake renews it, the courier asks it
        Index("uq_send_budgets_channel_chat_id_account", "channel", "chat_id", "account", unique=True),
        # erasure
        Index("ix_send_budgets_person_id", "person_id"),
    )


SEND_BUDGETS = core(SendBudget)
