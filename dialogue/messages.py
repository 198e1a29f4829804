"""Frozen values that cross the border: what came in and what goes out. Platform updates never travel further."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from dialogue.states import DeliveryKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a conversation is held: a channel and the chat on it."""

    channel: str
    chat_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """One text that a person wrote, as an adapter read it.

    `account` is the bot's own account on the channel; `external_id` is unique for channel and account. `reply_to_id`:
    the platform's id of the message that this one answers, where the platform tells.
    """

    address: Address
    account: str
    user_id: str
    external_id: str
    text: str = field(repr=False)
    sent_at: datetime
    reply_to_id: str | None = None

    @property
    def is_private(self) -> bool:
        """Whether nobody else reads what is said there: adapters name a private chat by the person's id."""
        return self.address.chat_id == self.user_id


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedText:
    """A delivery that a courier has claimed and must now send.

    `placeholder_id` is the platform's id of a message that stands where this text shall be; `is_last` is false while
    further parts of the same text are owed.
    """

    id: UUID
    address: Address
    kind: DeliveryKind
    text: str = field(repr=False)
    turn_id: UUID | None
    part: int
    attempt: int
    is_last: bool = True
    placeholder_id: str | None = None
