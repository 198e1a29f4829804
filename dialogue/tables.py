"""The tables. Texts are bytes sealed by `dialogue.vault`; everything else can be read by an operator."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import cast
from uuid import UUID

from sqlalchemy import JSON, DateTime, Dialect, Enum, ForeignKey, Index, LargeBinary, MetaData, String
from sqlalchemy import Table as CoreTable
from sqlalchemy import text as sql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, Uuid

from care.age import AgeBand
from dialogue.ids import new_id
from dialogue.states import ClosedBy, DeliveryKind, DeliveryState, Role, TurnState

Figure = str | int | float | None
"""What a process tells of itself: counts, seconds, names; never anything of a person."""


class Utc(TypeDecorator[datetime]):
    """Aware UTC everywhere, also on SQLite, which keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def _names(states: type[StrEnum]) -> Enum:
    """Stored as the enum's words: a new state needs no migration."""
    return Enum(
        states, native_enum=False, length=16, values_callable=lambda members: [member.value for member in members]
    )


class Table(DeclarativeBase):
    """All tables; constraints are named so that migrations can find them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way of declaring it
        datetime: Utc(),
        UUID: Uuid(),
        bytes: LargeBinary(),
        str: String(),
        TurnState: _names(TurnState),
        DeliveryState: _names(DeliveryState),
        DeliveryKind: _names(DeliveryKind),
        ClosedBy: _names(ClosedBy),
        AgeBand: _names(AgeBand),
        dict[str, Figure]: JSON(),
        Role: _names(Role),
    }


class Person(Table):
    """Someone who wrote, on one channel. Without `data_key` every text of theirs is unreadable for ever.

    Whoever was erased has lost the key and the user id, so that the same user is somebody new; `scrubbed_at` says that
    their rows are gone too.

    `consent_version` is the notice they agreed to, `asked_version` the one they last saw; `declined_at` is set while
    they do not agree. `heard_at` is kept to within a few minutes only (care/visit.py).
    """

    __tablename__ = "people"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    channel: Mapped[str] = mapped_column(String(32))
    user_id: Mapped[str] = mapped_column(String(255))
    data_key: Mapped[bytes | None]
    created_at: Mapped[datetime]
    consent_version: Mapped[str | None] = mapped_column(String(32))
    consented_at: Mapped[datetime | None]
    asked_version: Mapped[str | None] = mapped_column(String(32))
    asked_at: Mapped[datetime | None]
    declined_at: Mapped[datetime | None]
    training_consented_at: Mapped[datetime | None]
    age_band: Mapped[AgeBand | None]
    visit_began_at: Mapped[datetime | None]
    heard_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    labelled_at: Mapped[datetime | None]
    blocked_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    alerts_muted_at: Mapped[datetime | None]  # an admin who wants no alerts in the chat
    scrubbed_at: Mapped[datetime | None]

    __table_args__ = (
        # intake finds or makes a person by it
        Index("uq_people_channel_user_id", "channel", "user_id", unique=True),
        # the housekeeper looks at people whose rows are still to go
        Index(
            "ix_people_unscrubbed",
            "erased_at",
            sqlite_where=sql("erased_at IS NOT NULL AND scrubbed_at IS NULL"),
            postgresql_where=sql("erased_at IS NOT NULL AND scrubbed_at IS NULL"),
        ),
    )


class Conversation(Table):
    """From the first message to 结束对话; `epoch` counts the conversations of one address from 1.

    `tier` is the risk level now, and `course` (sealed) how it came to be: it outlives the model's window. While it is
    open and `taken_over_by` names an admin, a human answers; what the person says is relayed to the admin's chat, if
    they have one.
    """

    __tablename__ = "conversations"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    channel: Mapped[str] = mapped_column(String(32))
    chat_id: Mapped[str] = mapped_column(String(255))
    epoch: Mapped[int]
    tier: Mapped[int] = mapped_column(default=0)
    course: Mapped[bytes | None]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[ClosedBy | None]
    taken_over_by: Mapped[str | None] = mapped_column(String(255))
    taken_over_at: Mapped[datetime | None]
    relay_channel: Mapped[str | None] = mapped_column(String(32))
    relay_chat_id: Mapped[str | None] = mapped_column(String(255))
    alarmed_at: Mapped[datetime | None]
    alarm_level: Mapped[int | None]
    purged_at: Mapped[datetime | None]

    __table_args__ = (
        Index("uq_conversations_channel_chat_id_epoch", "channel", "chat_id", "epoch", unique=True),
        # intake finds the open conversation by it; two at once are impossible
        Index(
            "uq_conversations_open",
            "channel",
            "chat_id",
            unique=True,
            sqlite_where=sql("closed_at IS NULL"),
            postgresql_where=sql("closed_at IS NULL"),
        ),
        # a person's own conversations: export, erasure
        Index("ix_conversations_person_id", "person_id"),
        # admins page through all of them, newest first
        Index("ix_conversations_opened_at_id", "opened_at", "id"),
        # ... of one channel, which may be a small one
        Index("ix_conversations_channel_opened_at_id", "channel", "opened_at", "id"),
        # ... with any risk, which are few
        Index(
            "ix_conversations_at_risk",
            "opened_at",
            "id",
            sqlite_where=sql("tier > 0"),
            postgresql_where=sql("tier > 0"),
        ),
        # those open now by risk: the list in the chat, and the counts by tier
        Index(
            "ix_conversations_open_tier",
            "tier",
            "opened_at",
            "id",
            sqlite_where=sql("closed_at IS NULL"),
            postgresql_where=sql("closed_at IS NULL"),
        ),
        # what an admin holds
        Index(
            "ix_conversations_taken_over",
            "taken_over_by",
            sqlite_where=sql("closed_at IS NULL AND taken_over_by IS NOT NULL"),
            postgresql_where=sql("closed_at IS NULL AND taken_over_by IS NOT NULL"),
        ),
        # the housekeeper looks at ended conversations that still have texts
        Index(
            "ix_conversations_unpurged",
            "closed_at",
            sqlite_where=sql("closed_at IS NOT NULL AND purged_at IS NULL"),
            postgresql_where=sql("closed_at IS NOT NULL AND purged_at IS NULL"),
        ),
    )


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
        Index(
            "uq_turns_waiting",
            "conversation_id",
            unique=True,
            sqlite_where=sql("state = 'waiting'"),
            postgresql_where=sql("state = 'waiting'"),
        ),
        Index(
            "uq_turns_generating",
            "conversation_id",
            unique=True,
            sqlite_where=sql("state = 'generating'"),
            postgresql_where=sql("state = 'generating'"),
        ),
        # the sweep looks at open turns only, however many are stored
        Index(
            "ix_turns_open",
            "rung_at",
            sqlite_where=sql("state IN ('waiting', 'generating')"),
            postgresql_where=sql("state IN ('waiting', 'generating')"),
        ),
        # the failures of the last day, for those who watch
        Index(
            "ix_turns_failed",
            "finished_at",
            sqlite_where=sql("state = 'failed'"),
            postgresql_where=sql("state = 'failed'"),
        ),
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
        Index(
            "ix_messages_heard",
            "person_id",
            "received_at",
            sqlite_where=sql("turn_id IS NOT NULL"),
            postgresql_where=sql("turn_id IS NOT NULL"),
        ),
        # the words of a turn
        Index("ix_messages_turn_id", "turn_id"),
        # erasure and export
        Index("ix_messages_person_id", "person_id"),
        # the sweep looks at words that wait for a consent only
        Index(
            "ix_messages_expires_at",
            "expires_at",
            sqlite_where=sql("expires_at IS NOT NULL"),
            postgresql_where=sql("expires_at IS NOT NULL"),
        ),
        # the housekeeper deletes texts that belong to no conversation by their own age
        Index(
            "ix_messages_alone",
            "received_at",
            sqlite_where=sql("conversation_id IS NULL AND text IS NOT NULL"),
            postgresql_where=sql("conversation_id IS NULL AND text IS NOT NULL"),
        ),
    )


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

    __table_args__ = (
        Index("uq_deliveries_turn_id_part", "turn_id", "part", unique=True),
        Index("uq_deliveries_message_id_part", "message_id", "part", unique=True),
        # the courier looks at owed texts only, and at what is owed earlier to the same address
        Index(
            "ix_deliveries_open",
            "channel",
            "chat_id",
            "id",
            sqlite_where=sql("state IN ('pending', 'sending')"),
            postgresql_where=sql("state IN ('pending', 'sending')"),
        ),
        # a reset takes back what a conversation still owes
        Index("ix_deliveries_conversation_id", "conversation_id"),
        # what was given up lately, for those who watch
        Index(
            "ix_deliveries_failed",
            "created_at",
            sqlite_where=sql("state = 'failed'"),
            postgresql_where=sql("state = 'failed'"),
        ),
        # an admin answers a relayed message: which conversation was it of?
        Index(
            "ix_deliveries_to_admins",
            "channel",
            "chat_id",
            "platform_message_id",
            sqlite_where=sql("kind IN ('alert', 'relay')"),
            postgresql_where=sql("kind IN ('alert', 'relay')"),
        ),
        # erasure and export
        Index("ix_deliveries_person_id", "person_id"),
        # the housekeeper deletes texts that belong to no conversation by their own age
        Index(
            "ix_deliveries_alone",
            "created_at",
            sqlite_where=sql("conversation_id IS NULL AND text IS NOT NULL"),
            postgresql_where=sql("conversation_id IS NULL AND text IS NOT NULL"),
        ),
    )


class AuditEntry(Table):
    """Who did what to whom, when and why; never a text. Append only."""

    __tablename__ = "audit"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))
    person_id: Mapped[UUID | None]
    conversation_id: Mapped[UUID | None]
    reason: Mapped[str | None] = mapped_column(String(255))

    __table_args__ = (
        # the newest first
        Index("ix_audit_at", "at"),
        # what was done to one conversation, or to one person
        Index("ix_audit_conversation_id_id", "conversation_id", "id"),
        Index("ix_audit_person_id_id", "person_id", "id"),
        # what somebody did, and what was done of one kind (the newest alarms), however rare
        Index("ix_audit_actor_id", "actor", "id"),
        Index("ix_audit_action_id", "action", "id"),
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


class Complaint(Table):
    """What a person complains of (sealed), until an admin has settled it and the text's time is over."""

    __tablename__ = "complaints"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    conversation_id: Mapped[UUID | None] = mapped_column(ForeignKey("conversations.id"))
    text: Mapped[bytes | None]
    made_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str | None] = mapped_column(String(255))

    __table_args__ = (
        # export, erasure
        Index("ix_complaints_person_id", "person_id"),
    )


class EmergencyContact(Table):
    """Whom a person wants to be called when they are in danger (sealed); there only while they want it."""

    __tablename__ = "emergency_contacts"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"), primary_key=True)
    text: Mapped[bytes]
    given_at: Mapped[datetime]


class Process(Table):
    """A running process of ours, as it last said itself. Nothing refers to it; old ones are removed."""

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


class Compatibility(Table):
    """Which schema a version must know at least to serve this database: one row, changed when something goes away."""

    __tablename__ = "compatibility"

    oldest_schema: Mapped[str] = mapped_column(String(32), primary_key=True)


def _core(table: type[Table]) -> CoreTable:
    return cast("CoreTable", table.__table__)


PEOPLE = _core(Person)
CONVERSATIONS = _core(Conversation)
TURNS = _core(Turn)
MESSAGES = _core(Message)
DELIVERIES = _core(Delivery)
AUDIT = _core(AuditEntry)
FEEDBACK = _core(Feedback)
COMPLAINTS = _core(Complaint)
EMERGENCY_CONTACTS = _core(EmergencyContact)
PROCESSES = _core(Process)
"""The same tables for statements that are built once: building one costs ten times its execution (bench/road.py)."""
