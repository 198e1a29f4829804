"""Parses updates into values. Pure functions; the raw update goes no further.

A repeated update gives the same external ids, which are made of chat, message and, for an edit, the update.
"""

import re
from dataclasses import dataclass, field
from uuid import UUID

from telegram import CallbackQuery, Chat, ChatMember, ChatMemberUpdated, MaybeInaccessibleMessage, Message, Update
from telegram.constants import ChatType

from bot.channels.telegram import buttons
from bot.channels.telegram.chat import TelegramChat
from care.disclosure import Answer
from dialogue.messages import Address, InboundMessage
from dialogue.storage.clock import utc_now

ALLOWED = ["message", "edited_message", "callback_query", "my_chat_member"]
"""What Telegram is asked to send; business messages are a third person's words and never asked for."""

_COMMAND = re.compile(r"/\w+(?:@(?P<bot>\w+))?(?:\s|$)")
_GROUPS = (ChatType.GROUP, ChatType.SUPERGROUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The bot itself, as Telegram knows it."""

    id: int
    username: str


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody wrote words."""

    message: InboundMessage


@dataclass(frozen=True, slots=True)
class Revised:
    """Somebody changed the words of an earlier message."""

    message: InboundMessage
    original_id: str


@dataclass(frozen=True, slots=True)
class Showed:
    """Somebody sent something other than text; `message` has no words."""

    message: InboundMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """Somebody pressed 👍 or 👎."""

    user_id: str
    turn_id: UUID
    value: int
    callback_id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Left:
    """Somebody blocked the bot or removed it from a group."""

    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Chose:
    """Somebody answered the consent question with a button; `message` has no words."""

    message: InboundMessage
    answer: Answer
    callback_id: str = field(repr=False)


Event = Said | Revised | Showed | Rated | Chose | Left


def order_key(update: Update) -> tuple[int, int]:
    """Updates with the same chat and sender must be processed in order; members of a group wait for nobody else."""
    chat, sender = update.effective_chat, update.effective_user
    return (chat.id if chat is not None else 0, sender.id if sender is not None else 0)


def read(update: Update, account: Account, *, are_groups_served: bool) -> list[Event]:
    """The events in an update, in order; empty if it is of no interest."""
    if update.callback_query is not None:
        return _pressed(update.callback_query, account)
    if update.my_chat_member is not None:
        return _membership(update.my_chat_member)
    message = update.message or update.edited_message
    if message is None or not _is_for_us(message, account, are_groups_served=are_groups_served):
        return []
    if update.edited_message is not None:
        return _revised(message, account, update.update_id)
    return _message(message, account)


def _message(message: Message, account: Account) -> list[Event]:
    if message.text is not None:
        return [Said(_inbound(message, account, message.text))]
    if message.effective_attachment is None:
        return []  # somebody joined, a title changed, …
    events: list[Event] = [Showed(_inbound(message, account, "", suffix=":shown"))]
    if message.caption:
        events.insert(0, Said(_inbound(message, account, message.caption)))
    return events


def _revised(message: Message, account: Account, update_id: int) -> list[Event]:
    """Only words can be revised; a live location is "edited" every few seconds."""
    text = message.text or message.caption
    if not text:
        return []
    return [Revised(_inbound(message, account, text, suffix=f":{update_id}"), _external_id(message))]


def _is_for_us(message: Message, account: Account, *, are_groups_served: bool) -> bool:
    if message.from_user is None or message.from_user.is_bot or message.sender_chat is not None:
        return False
    if message.chat.type == ChatType.PRIVATE:
        return True
    return are_groups_served and message.chat.type in _GROUPS and _is_addressed(message, account)


def _is_addressed(message: Message, account: Account) -> bool:
    text = message.text or message.caption or ""
    command = _COMMAND.match(text)
    if command is not None and command["bot"] is not None:
        return command["bot"].lower() == account.username.lower()
    original = message.reply_to_message
    if original is not None and original.from_user is not None and original.from_user.id == account.id:
        return True
    return _mention(account).search(text) is not None


def _mention(account: Account) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)@{re.escape(account.username)}(?![A-Za-z0-9_])", re.IGNORECASE)


def _inbound(message: Message, account: Account, text: str, *, suffix: str = "") -> InboundMessage:
    user_id = message.from_user.id if message.from_user is not None else message.chat.id
    return InboundMessage(
        address=_place(message.chat, user_id, message).address(),
        account=str(account.id),
        user_id=str(user_id),
        external_id=_external_id(message) + suffix,
        text=_without_mention(text, account) if message.chat.type != ChatType.PRIVATE else text,
        sent_at=message.edit_date or message.date,
        is_private=message.chat.type == ChatType.PRIVATE,
        reply_to_id=str(message.reply_to_message.message_id) if message.reply_to_message is not None else None,
    )


def _without_mention(text: str, account: Account) -> str:
    if _COMMAND.match(text) is not None:
        return text
    return _mention(account).sub("", text).strip()


def _place(chat: Chat, user_id: int, message: Message) -> TelegramChat:
    if chat.type == ChatType.PRIVATE:
        return TelegramChat(chat_id=chat.id)
    thread_id = message.message_thread_id if message.is_topic_message else None
    return TelegramChat(chat_id=chat.id, user_id=user_id, thread_id=thread_id)


def _external_id(message: Message) -> str:
    return f"{message.chat.id}:{message.message_id}"


def message_id_of(external_id: str) -> int:
    """Telegram's message id, out of an external id."""
    return int(external_id.split(":")[1])


def _pressed(query: CallbackQuery, account: Account) -> list[Event]:
    data = query.data or ""
    if rating := buttons.read_rating(data):
        turn_id, value = rating
        return [Rated(user_id=str(query.from_user.id), turn_id=turn_id, value=value, callback_id=query.id)]
    answer = buttons.read_consent(data)
    if answer is None or query.message is None:
        return []
    return [Chose(message=_pressed_on(query, query.message, account), answer=answer, callback_id=query.id)]


def _pressed_on(query: CallbackQuery, message: MaybeInaccessibleMessage, account: Account) -> InboundMessage:
    user_id = query.from_user.id
    place = TelegramChat(chat_id=message.chat.id)
    if message.chat.type != ChatType.PRIVATE:
        thread_id = message.message_thread_id if isinstance(message, Message) and message.is_topic_message else None
        place = TelegramChat(chat_id=message.chat.id, user_id=user_id, thread_id=thread_id)
    return InboundMessage(
        address=place.address(),
        account=str(account.id),
        user_id=str(user_id),
        external_id=f"{message.chat.id}:{message.message_id}:{query.id}",
        text="",
        sent_at=utc_now(),
        is_private=place.is_private,
    )


def _membership(change: ChatMemberUpdated) -> list[Event]:
    is_gone = change.new_chat_member.status in {ChatMember.BANNED, ChatMember.LEFT}
    if is_gone and change.chat.type == ChatType.PRIVATE:
        return [Left(TelegramChat(chat_id=change.chat.id).address())]
    return []
