"""From the first message to 结束对话."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.states import ClosedBy
from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core, only_where


class Conversation(Table):
    """From the first message to 结束对话; `epoch` counts the conversations of one chat from 1, over all accounts.

    `tier` is the risk level now, and `course` (sealed) how it came to be: it outlives the model's window. While it is
    open and `taken_over_by` names an admin, a human answers; what the person says is relayed to the admin's chat, if
    they have one. `assigned_to` is the member of staff who looks after it; the model still answers.
    `release_asked_by` wants
    whoever holds it to give it back.
    """

    __tablename__ = "conversations"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    channel: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(255), default="", server_default="")
    chat_id: Mapped[str] = mapped_column(String(255))
    epoch: Mapped[int]
    tier: Mapped[int] = mapped_column(default=0)
    course: Mapped[bytes | None]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[ClosedBy | None]
    taken_over_by: Mapped[str | None] = mapped_column(String(255))
    taken_over_at: Mapped[datetime | None]
    assigned_to: Mapped[str | None] = mapped_column(String(255))
    release_asked_by: Mapped[str | None] = mapped_column(String(255))
    release_asked_at: Mapped[datetime | None]
    relay_channel: Mapped[str | None] = mapped_column(String(32))
    relay_account: Mapped[str | None] = mapped_column(String(255))
    relay_chat_id: Mapped[str | None] = mapped_column(String(255))
    alarmed_at: Mapped[datetime | None]
    alarm_level: Mapped[int | None]
    purged_at: Mapped[datetime | None]

    __table_args__ = (
        Index("uq_conversations_channel_chat_id_epoch", "channel", "chat_id", "epoch", unique=True),
        # intake finds the open conversation by it; two at once are impossible
        Index("uq_conversations_open", "channel", "chat_id", "account", unique=True, **only_where("closed_at IS NULL")),
        # a person's own conversations: export, erasure
        Index("ix_conversations_person_id", "person_id"),
        # admins page through all of them, newest first
        Index("ix_conversations_opened_at_id", "opened_at", "id"),
        # ... of one channel, which may be a small one
        Index("ix_conversations_channel_opened_at_id", "channel", "opened_at", "id"),
        # ... with any risk, which are few
        Index("ix_conversations_at_risk", "opened_at", "id", **only_where("tier > 0")),
        # those open now by risk: the list in the chat, and the counts by tier
        Index("ix_conversations_open_tier", "tier", "opened_at", "id", **only_where("closed_at IS NULL")),
        # what an admin holds
        Index(
            "ix_conversations_taken_over",
            "taken_over_by",
            **only_where("closed_at IS NULL AND taken_over_by IS NOT NULL"),
        ),
        # what was assigned to somebody
        Index(
            "ix_conversations_assigned_to",
            "assigned_to",
            **only_where("closed_at IS NULL AND assigned_to IS NOT NULL"),
        ),
        # the housekeeper looks at ended conversations that still have texts
        Index("ix_conversations_unpurged", "closed_at", **only_where("closed_at IS NOT NULL AND purged_at IS NULL")),
    )


CONVERSATIONS = core(Conversation)
