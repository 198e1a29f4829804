"""Parses raw updates into events. Pure functions; the raw update goes no further.

Nothing of an update is left to a library's types: a field that a library cannot parse would take a person's words with
it. A repeated update gives the same external ids, which are made of chat, message and, for an edit, the update.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from bot.channels.telegram import buttons
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.content import Content, content_of
from bot.channels.telegram.media import offers_of
from bot.channels.telegram.raw_fields import Raw, is_set, number, section, sections, text
from care.disclosure import Answer
from dialogue.messages import Address, InboundMessage
from dialogue.storage.clock import utc_now

ALLOWED = ["message", "edited_message", "callback_query", "my_chat_member", "stopped_message_generation"]
"""What Telegram is asked to send; business messages are a third person's words and never asked for."""

_COMMAND = re.compile(r"[/／]\w+(?:[@＠](?P<bot>[A-Za-z0-9_]+))?(?![A-Za-z0-9_])")
_TO_FULL_WIDTH = ord("Ａ") - ord("A")
_PRIVATE = "private"
_GROUPS = ("group", "supergroup")
_GONE = ("kicked", "left")
_CAPTIONED = ("photo", "video", "animation", "audio", "document", "voice", "paid_media", "live_photo")


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
    """Somebody changed the words of an earlier message. Not `is_addressed`: in a group, and not to us."""

    message: InboundMessage
    original_id: str
    is_addressed: bool = True


@dataclass(frozen=True, slots=True)
class Showed:
    """Somebody sent something other than text; `message` has no words."""

    message: InboundMessage


@dataclass(frozen=True, slots=True)
class Emptied:
    """Somebody took the words of an earlier message away; what they stood under is still there."""

    message: InboundMessage
    original_id: str


@dataclass(frozen=True, slots=True)
class Overheard:
    """Something happened in a private chat, such as a new topic, and has a name that its person chose."""

    message: InboundMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """Somebody pressed 👍 or 👎."""

    user_id: str
    language: str | None
    turn_id: UUID
    value: int
    callback_id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Left:
    """Somebody blocked the bot or removed it from a group."""

    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A group became a supergroup: the same chat under another id."""

    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chose:
    """Somebody answered the consent question with a button; `message` has no words.

    `notice_id` is the message with the button, where Telegram tells.
    """

    message: InboundMessage
    answer: Answer
    notice_id: int | None = None
    callback_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A button that means nothing to the person who pressed it: another's, or one that we do not know."""

    is_known: bool
    language: str | None
    callback_id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Somebody pressed the stop button of a growing reply; `message` has no words."""

    message: InboundMessage
    draft_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Somebody pressed the button under an alert; `message` is the order to the admins' desk that it stands for."""

    message: InboundMessage
    callback_id: str = field(repr=False)


Event = Ordered | Said | Revised | Emptied | Showed | Overheard | Rated | Chose | Pressed | Left | Moved | Stopped


def order_key(update: Raw) -> tuple[int, int]:
    """Updates with the same chat and sender must be processed in order; members of a group wait for nobody else."""
    content = next((value for name, value in update.items() if name != "update_id" and isinstance(value, dict)), {})
    chat = number(section(content, "chat") or section(section(content, "message"), "chat"), "id")
    sender = number(section(content, "from"), "id")
    return chat or 0, sender or chat or 0


def move_in(update: Raw) -> Moved | None:
    """What the update says, if it says that a group became a supergroup."""
    message = section(update, "message")
    chat_id = number(section(message, "chat"), "id")
    after, before = number(message, "migrate_to_chat_id"), number(message, "migrate_from_chat_id")
    if chat_id is None or (after is None and before is None):
        return None
    return Moved(before=before or chat_id, after=after or chat_id)


def read(update: Raw, account: Account, *, are_groups_served: bool) -> list[Event]:
    """The events in an update, in order; empty if it is of no interest."""
    for name, reading in (
        ("callback_query", _pressed),
        ("my_chat_member", _membership),
        ("stopped_message_generation", _stopped),
    ):
        if content := section(update, name):
            return reading(content, account)
    if (moved := move_in(update)) is not None:
        return [moved]
    return _from_a_person(update, account, are_groups_served=are_groups_served)


def _from_a_person(update: Raw, account: Account, *, are_groups_served: bool) -> list[Event]:
    message = section(update, "message") or section(update, "edited_message")
    if not _is_from_a_person(message) or not _is_served(message, are_groups_served=are_groups_served):
        return []
    if section(update, "edited_message"):
        return _revised(message, account, number(update, "update_id") or 0)
    return _message(message, account) if _is_addressed(message, account) else []


def _message(message: Raw, account: Account) -> list[Event]:
    content = content_of(message)
    if content.is_service:
        inbound = _inbound(message, account, replace(content, words=""), suffix=":service")
        return [Overheard(inbound)] if content.beside else []
    said = _inbound(message, account, content)
    shown = replace(said, text="", forwarded="", external_id=_shown_id(message))
    events: list[Event] = []
    if content.words or said.text or (said.quoted and not content.is_unreadable):
        events.append(Said(said))
        shown = replace(shown, quoted="", beside="")  # read with the words
    if content.is_unreadable or not events:
        events.append(Showed(shown))
    return events


def _revised(message: Raw, account: Account, update_id: int) -> list[Event]:
    """Words are revised, and a picture may be another one; a live location is "edited" every few seconds."""
    content = content_of(message)
    revised = _inbound(message, account, content, suffix=f":{update_id}")
    is_addressed = _is_addressed(message, account)
    is_shown = is_addressed and any(offer.reference for offer in revised.media)
    shown = [Showed(_shown_again(revised, message))] if is_shown else []
    if not content.words:
        emptied = [Emptied(revised, _external_id(message))] if _had_a_caption(message) else []
        heard = [Overheard(revised)] if content.beside and is_addressed else []
        return [*emptied, *heard, *shown]
    return [Revised(revised, _external_id(message), is_addressed=is_addressed), *shown]


def _shown_again(revised: InboundMessage, message: Raw) -> InboundMessage:
    """As it was told of before, so that only a picture that was not there is new."""
    return replace(
        revised,
        text="",
        quoted="",
        forwarded="",
        beside="",
        external_id=_shown_id(message),
        sent_at=_time(number(message, "date")),
    )


def _had_a_caption(message: Raw) -> bool:
    """Perhaps: in a private chat, where the words under a picture are the person's and may be taken away."""
    return _is_private(message) and any(name in message for name in _CAPTIONED)


def _is_from_a_person(message: Raw) -> bool:
    sender = section(message, "from")
    is_person = number(sender, "id") is not None and not is_set(sender, "is_bot")
    return is_person and not section(message, "sender_chat") and number(section(message, "chat"), "id") is not None


def _is_served(message: Raw, *, are_groups_served: bool) -> bool:
    return _is_private(message) or (are_groups_served and text(section(message, "chat"), "type") in _GROUPS)


def _is_private(message: Raw) -> bool:
    return text(section(message, "chat"), "type") == _PRIVATE


def _is_addressed(message: Raw, account: Account) -> bool:
    if _is_private(message):
        return True
    words = content_of(message).words
    command = _COMMAND.match(words)
    if command is not None and command["bot"] is not None:
        return command["bot"].lower() == account.username.lower()
    original = _answered(message)
    is_answer = number(section(original, "from"), "id") == account.id
    is_named = any((found["bot"] or "").lower() == account.username.lower() for found in _COMMAND.finditer(words))
    return (
        is_answer or is_named or _mention(account).search(words) is not None or _is_mentioned_by_link(message, account)
    )


def _is_mentioned_by_link(message: Raw, account: Account) -> bool:
    """By whatever name."""
    entities = [entity for name in ("entities", "caption_entities") for entity in sections(message, name)]
    return any(number(section(entity, "user"), "id") == account.id for entity in entities)


def _answered(message: Raw) -> Raw:
    """The message that this one answers.

    In a topic every message "answers" the one that opened it, whoever did; that says nothing.
    """
    original = section(message, "reply_to_message")
    is_topic = is_set(message, "is_topic_message") and number(original, "message_id") == number(
        message, "message_thread_id"
    )
    return {} if is_topic or section(original, "forum_topic_created") else original


def _mention(account: Account) -> re.Pattern[str]:
    """Right after other letters too, which is how Chinese is written; but not within an address."""
    name = "".join(f"[{character}{chr(ord(character) + _TO_FULL_WIDTH)}]" for character in account.username)
    return re.compile(rf"(?<![A-Za-z0-9_.+-])[@＠]{name}(?![A-Za-z0-9_])", re.IGNORECASE)


def _inbound(message: Raw, account: Account, content: Content, *, suffix: str = "") -> InboundMessage:
    sender = section(message, "from")
    user_id = number(sender, "id") or 0
    is_private = _is_private(message)
    words = content.words if is_private else _without_mention(content.words, account)
    is_forwarded = _is_somebody_elses(message, user_id)
    quoted, own = _cited(message, account, user_id)
    return InboundMessage(
        address=_place(message, user_id).address(),
        account=str(account.id),
        user_id=str(user_id),
        external_id=_external_id(message) + suffix,
        text=own if is_forwarded else "\n".join(part for part in (own, words) if part),
        quoted=quoted,
        forwarded=words if is_forwarded else "",
        beside=content.beside,
        language=text(sender, "language_code") or None,
        sent_at=_sent_at(message),
        is_private=is_private,
        reply_to_id=_message_id(section(message, "reply_to_message")),
        shown_reference=_external_id(message),
        media=offers_of(message),
    )


def _is_somebody_elses(message: Raw, user_id: int) -> bool:
    """Whether the words were forwarded, and not from the person themselves."""
    origin = section(message, "forward_origin")
    if origin:
        return number(section(origin, "sender_user"), "id") != user_id
    author = number(section(message, "forward_from"), "id")
    return number(message, "forward_date") is not None and author != user_id


def _cited(message: Raw, account: Account, user_id: int) -> tuple[str, str]:
    """Somebody else's words that this message answers, and the person's own that we have not read yet.

    What the bot said is known to the model; so is what the person wrote to it.
    """
    original, elsewhere = _answered(message), section(message, "external_reply")
    part = text(section(message, "quote"), "text")
    if elsewhere:
        author = number(section(section(elsewhere, "origin"), "sender_user"), "id")
        words = part or _all_of({name: value for name, value in elsewhere.items() if name != "origin"})
        return ("", words) if author == user_id else (words, "")
    author = number(section(original, "from"), "id")
    if not original:  # deleted since, perhaps; in a private chat what is quoted is known, whosever it is
        return "" if _is_private(message) else part, ""
    if author == account.id:
        return "", ""
    if author == user_id and not section(original, "sender_chat"):
        is_unread = not _is_private(message) and not _is_addressed(original, account)
        return "", _all_of(original) if is_unread else ""
    return part or _all_of(original), ""


def _all_of(message: Raw) -> str:
    """Its words, and the strings beside them, such as the name of a file."""
    content = content_of(message)
    return "\n".join(part for part in (content.words, content.beside) if part)


def _without_mention(words: str, account: Account) -> str:
    if _COMMAND.match(words) is not None:
        return words
    return _mention(account).sub("", words).strip()


def _place(message: Raw, user_id: int) -> TelegramChat:
    chat_id = number(section(message, "chat"), "id") or 0
    thread_id = number(message, "message_thread_id") if is_set(message, "is_topic_message") else None
    if _is_private(message) and thread_id is None:
        return TelegramChat(chat_id=chat_id)
    return TelegramChat(chat_id=chat_id, user_id=user_id, thread_id=thread_id)


def _sent_at(message: Raw) -> datetime:
    return _time(number(message, "edit_date") or number(message, "date"))


def _time(seconds: int | None) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else utc_now()
    except (OverflowError, ValueError, OSError):
        return utc_now()


def _message_id(message: Raw) -> str | None:
    message_id = number(message, "message_id")
    return str(message_id) if message_id is not None else None


def _external_id(message: Raw) -> str:
    return f"{number(section(message, 'chat'), 'id')}:{number(message, 'message_id')}"


def _shown_id(message: Raw) -> str:
    """An album is one thing that was shown, in however many messages."""
    album = text(message, "media_group_id")
    chat_id = number(section(message, "chat"), "id")
    return f"{chat_id}:album:{album}"[:_MAX_ID] if album else f"{_external_id(message)}:shown"


_MAX_ID = 255


def message_id_in(chat_id: int, external_id: str) -> int | None:
    """Telegram's message id, out of an external id; None where that is of another chat."""
    of_chat, part = external_id.split(":")[:2]
    return int(part) if of_chat == str(chat_id) and part.lstrip("-").isdecimal() else None


def _pressed(query: Raw, account: Account) -> list[Event]:
    presser = section(query, "from")
    user_id, callback_id = number(presser, "id"), text(query, "id")
    if user_id is None:
        return []
    language = text(presser, "language_code") or None
    data, message = text(query, "data"), section(query, "message")
    if rating := buttons.read_rating(data):
        turn_id, value = rating
        return [Rated(user_id=str(user_id), language=language, turn_id=turn_id, value=value, callback_id=callback_id)]
    is_placed = number(section(message, "chat"), "id") is not None
    if is_placed and (order := buttons.read_order(data)):
        pressed_on = _pressed_on(message, account, user_id, callback_id)
        return [Ordered(message=replace(pressed_on, text=order, language=language), callback_id=callback_id)]
    consent = buttons.read_consent(data)
    if consent is None or not is_placed:
        return [Pressed(is_known=False, language=language, callback_id=callback_id)]
    if consent.user_id not in {None, user_id}:
        return [Pressed(is_known=True, language=language, callback_id=callback_id)]
    pressed_on = _pressed_on(message, account, user_id, callback_id)
    return [
        Chose(
            message=replace(pressed_on, language=language),
            answer=consent.answer,
            notice_id=number(message, "message_id"),
            callback_id=callback_id,
        )
    ]


def _pressed_on(message: Raw, account: Account, user_id: int, callback_id: str) -> InboundMessage:
    place = _place(message, user_id)
    return InboundMessage(
        address=place.address(),
        account=str(account.id),
        user_id=str(user_id),
        external_id=f"{_external_id(message)}:{callback_id}"[:_MAX_ID],
        text="",
        sent_at=utc_now(),
        is_private=place.is_private,
    )


def _stopped(stop: Raw, account: Account) -> list[Event]:
    """Drafts are shown in private chats only, so the chat is the person."""
    chat_id, draft_id = number(section(stop, "chat"), "id"), number(stop, "draft_id")
    if chat_id is None or chat_id <= 0 or draft_id is None:
        return []
    message = {**stop, "message_id": 0, "is_topic_message": number(stop, "message_thread_id") is not None}
    message["chat"] = {"id": chat_id, "type": _PRIVATE}
    return [
        Stopped(message=_pressed_on(message, account, chat_id, f"stop:{draft_id}"), draft_id=draft_id),
    ]


def _membership(change: Raw, _account: Account) -> list[Event]:
    chat_id = number(section(change, "chat"), "id")
    is_gone = text(section(change, "new_chat_member"), "status") in _GONE
    if is_gone and _is_private(change) and chat_id is not None:
        return [Left(TelegramChat(chat_id=chat_id).address())]
    return []
