"""What was said in a conversation, and what was replied."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from dialogue.states import OPEN_TURN_STATES, TurnState
from dialogue.storage.ids import new_id
from dialogue.tables.mapping import Table, core, only_where


class Turn(Table):
    """The person's words (the messages that joined it) and the one reply to them.

    `postscript` (sealed) is what we add in our own words when the reply is sent; the model never sees it.
    """

    __tablename__ = "turns"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id"))
    seq: Mapped[int]
    state: Mapped[TurnState]
    owner: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(default=0)
    rung_at: Mapped[datetime]
    ring_count: Mapped[int] = mapped_column(default=1)
    reply: Mapped[bytes | None]
    postscript: Mapped[bytes | None]
    error: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    claimed_at: Mapped[datetime | None]
    first_token_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    prompt_tokens: Mapped[int | None]
    reply_tokens: Mapped[int | None]
    model_version: Mapped[str | None] = mapped_column(String(255))
    prompt_version: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        # the order of a conversation; also finds its history
        Index("uq_turns_conversation_id_seq", "conversation_id", "seq", unique=True),
        # at most one of each, whatever the code does
        Index("uq_turns_waiting", "conversation_id", unique=True, **only_where("state = 'waiting'")),
        Index("uq_turns_generating", "conversation_id", unique=True, **only_where("state = 'generating'")),
        # the sweep looks at open turns only, however many are stored
        Index("ix_turns_open", "rung_at", **only_where("state IN ('waiting', 'generating')")),
        # the failures of the last day, for those who watch
        Index("ix_turns_failed", "finished_at", **only_where("state = 'failed'")),
    )


class Message(Table):
    """One inbound text. The unique external id makes a repeated update a no-op.

    `expires_at` is set while the words wait for a consent; the sweep deletes what waited too long.
    """

    __tablename__ = "messages"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    conversation_id: Mapped[UUID | None] = mapped_column(ForeignKey("conversations.id"))
    turn_id: Mapped[UUID | None] = mapped_column(ForeignKey("turns.id"))
    channel: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(255))
    external_id: Mapped[str] = mapped_column(String(255))
    text: Mapped[bytes | None]
    sent_at: Mapped[datetime]
    received_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]

    __table_args__ = (
        Index("uq_messages_channel_account_external_id", "channel", "account", "external_id", unique=True),
        # how much a person said lately; counted with each message, from the index alone
        Index("ix_messages_heard", "person_id", "received_at", **only_where("turn_id IS NOT NULL")),
        # the words of a turn
        Index("ix_messages_turn_id", "turn_id"),
        # erasure and export
        Index("ix_messages_person_id", "person_id"),
        # the last words of a person, read with each message
        Index("ix_messages_person_id_received_at", "person_id", "received_at"),
        # the sweep looks at words that wait for a consent only
        Index("ix_messages_expires_at", "expires_at", **only_where("expires_at IS NOT NULL")),
        # the housekeeper deletes texts that belong to no conversation by their own age
        Index("ix_messages_alone", "received_at", **only_where("conversation_id IS NULL AND text IS NOT NULL")),
    )


class Feedback(Table):
    """A person's 👍 (1) or 👎 (-1) on a turn."""

    __tablename__ = "feedback"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    turn_id: Mapped[UUID] = mapped_column(ForeignKey("turns.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    value: Mapped[int]
    given_at: Mapped[datetime]

    __table_args__ = (Index("uq_feedback_turn_id_person_id", "turn_id", "person_id", unique=True),)


TURNS = core(Turn)
MESSAGES = core(Message)
FEEDBACK = core(Feedback)

IS_OPEN_TURN = TURNS.c.state.in_(OPEN_TURN_STATES)
"""The condition of `ix_turns_open`, beside narrower ones: see `LiteralWords`."""
