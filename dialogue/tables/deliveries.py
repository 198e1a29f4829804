"""What is owed to people, and what was sent to them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.states import OPEN_DELIVERY_STATES, DeliveryKind, DeliveryState
from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core, only_where


class Delivery(Table):
    """A text owed to an address: the outbox. Either a turn's reply or our answer to one message."""

    __tablename__ = "deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    conversation_id: Mapped[UUID | None] = mapped_column(ForeignKey("conversations.id"))
    turn_id: Mapped[UUID | None] = mapped_column(ForeignKey("turns.id"))
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id"))
    part: Mapped[int] = mapped_column(default=0)
    kind: Mapped[DeliveryKind]
    channel: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(255), default="", server_default="")
    chat_id: Mapped[str] = mapped_column(String(255))
    text: Mapped[bytes | None]
    state: Mapped[DeliveryState]
    owner: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    error: Mapped[str | None] = mapped_column(String(64))
    platform_message_id: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    grant_id: Mapped[UUID | None]
    is_repeatable: Mapped[bool | None]

    __table_args__ = (
        Index("uq_deliveries_turn_id_part", "turn_id", "part", unique=True),
        Index("uq_deliveries_message_id_part", "message_id", "part", unique=True),
        # the courier looks at owed texts only, and at what is owed earlier to the same address
        Index("ix_deliveries_open", "channel", "chat_id", "id", **only_where("state IN ('pending', 'sending')")),
        # a reset takes back what a conversation still owes
        Index("ix_deliveries_conversation_id", "conversation_id"),
        # what was given up lately, for those who watch
        Index("ix_deliveries_failed", "created_at", **only_where("state = 'failed'")),
        # ... and what staff must decide about
        Index("ix_deliveries_undelivered", "created_at", **only_where("state IN ('failed', 'bounced')")),
        # what was sent by a grant of `send_budgets`
        Index("ix_deliveries_grant_id", "grant_id", **only_where("grant_id IS NOT NULL")),
        # what the person's next message releases
        Index("ix_deliveries_held", "channel", "chat_id", **only_where("state = 'held'")),
        # an admin answers a relayed message: which conversation was it of?
        Index(
            "ix_deliveries_to_admins",
            "channel",
            "chat_id",
            "platform_message_id",
            **only_where("kind IN ('alert', 'relay')"),
        ),
        # erasure and export
        Index("ix_deliveries_person_id", "person_id"),
        # the housekeeper deletes texts that belong to no conversation by their own age
        Index("ix_deliveries_alone", "created_at", **only_where("conversation_id IS NULL AND text IS NOT NULL")),
    )


DELIVERIES = core(Delivery)

IS_OPEN_DELIVERY = DELIVERIES.c.state.in_(OPEN_DELIVERY_STATES)
"""The condition of `ix_deliveries_open`, beside narrower ones: see `LiteralWords`."""
