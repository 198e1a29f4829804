"""Frozen values that cross the border: what came in and what goes out. Platform updates never travel further."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from dialogue.states import DeliveryKind, MediumKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a conversation is held: a channel, our account on it, and the chat.

    A channel that has one account leaves `account` empty. Where a channel has several, an empty one stands for any of
    them: rows from before it had several, and admins, who are configured by channel and user id.
    """

    channel: str
    account: str = ""
    chat_id: str

    @classmethod
    def of(cls, row: Any) -> Self:
        """The address in the columns `channel`, `account` and `chat_id` of a row."""
        return cls(channel=row.channel, account=row.account, chat_id=row.chat_id)

    def columns(self) -> dict[str, str]:
        """The same columns, for a statement."""
        return {"channel": self.channel, "account": self.account, "chat_id": self.chat_id}

    def at_any_account(self) -> Self:
        """The same chat, whichever of our accounts serves it."""
        return replace(self, account="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a platform lets us send in answer to one message: so many messages, until then.

    `starts_anew`: what is still leaving in answer to an earlier message costs nothing of it. `has_colleagues`: humans
    may answer there in the platform's own app.
    """

    sends: int
    until: datetime
    starts_anew: bool = False
    has_colleagues: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumOffer:
    """A picture, voice message or file of a message, which its channel can fetch by `reference`.

    `mark` is the same whenever the platform tells of the same thing in that message. `size` is in bytes, where the
    platform tells it.
    """

    kind: MediumKind
    reference: str = field(repr=False)
    mark: str = ""
    name: str = field(default="", repr=False)
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """What a person said in one message, as an adapter read it.

    `text` is their own words. `quoted` is what they answer or cite of somebody else, `forwarded` what they passed on:
    both are given to the model, marked as not theirs. `beside` has strings of theirs that are no words, such as a
    file's name: they are screened and not kept. `shown_reference` is how the platform's sender finds the message again,
    to show a human what is no text, and `media` what the channel could fetch of it. `language` is a BCP 47 tag of what
    they read, where the platform tells. `account` is the bot's own account on the channel; `external_id` is unique for
    channel and account. `reply_to_id`: the platform's id of the message that this one answers, where the platform
    tells. `is_private`: nobody but the person reads what is said at `address`. `allowance`: on a channel where sending
    has a budget, what this message renews it to. `is_late`: it was written long before we came, and a reply would
    surprise. `can_hand_over`: a human is on duty in the platform's own app, who can be given the chat. `is_kept`: the
    platform hands it out again unless our own database says, in a later commit, that it was read.
    """

    address: Address
    account: str
    user_id: str
    external_id: str
    text: str = field(repr=False)
    sent_at: datetime
    is_private: bool
    quoted: str = field(default="", repr=False)
    forwarded: str = field(default="", repr=False)
    beside: str = field(default="", repr=False)
    language: str | None = None
    reply_to_id: str | None = None
    shown_reference: str | None = None
    media: tuple[MediumOffer, ...] = ()
    allowance: Allowance | None = None
    is_late: bool = False
    can_hand_over: bool = False
    is_kept: bool = False
    delayed_hours: int = 0
    """How long ago it was written, where it reached us only now because we were away."""


def with_delay(message: InboundMessage, *, now: datetime) -> InboundMessage:
    """The same message, knowing for how many hours it waited for us."""
    hours = int((now - message.sent_at) / timedelta(hours=1))
    return replace(message, delayed_hours=hours) if hours > 0 else message


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedText:
    """A delivery that a courier has claimed and must now send.

    `placeholder_id` is the platform's id of a message that stands where this text shall be; `is_last` is false while
    further parts of the same text are owed. Where sending has a budget, `grant_id` names what pays for it, `sends_left`
    is how many ordinary texts may follow before the person writes again, and `is_followed` tells that more is owed.
    `is_new`: no courier has claimed it before, so that it may still be joined or cut.
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
    grant_id: UUID | None = None
    sends_left: int | None = None
    is_followed: bool = False
    is_new: bool = True
    conversation_id: UUID | None = None
