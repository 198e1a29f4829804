"""What a message says, read from the raw object: fields that no library knows are read like the others.

Every string that the sender chose is either among the words or beside them. What Telegram writes itself (ids, types,
dates, who and where) is neither.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.channels.telegram.raw_fields import Raw, section, text

_MAX_DEPTH = 100
"""Of objects in each other that are read as formatted text; Telegram's own limit for it is far below."""

_ENVELOPE = frozenset(
    {
        *("message_id", "date", "edit_date", "chat", "from", "sender_chat", "sender_business_bot", "sender_tag"),
        *("author_signature", "via_bot", "receiver_user", "guest_bot_caller_user", "guest_bot_caller_chat"),
        *("guest_query_id", "business_connection_id", "media_group_id", "effect_id", "reply_markup"),
        *("direct_messages_topic", "suggested_post_info"),
        *("reply_to_message", "external_reply", "quote", "reply_to_story", "reply_to_poll_option_id"),
        *("forward_origin", "forward_from", "forward_from_chat", "forward_sender_name", "forward_signature"),
        *("connected_website", "passport_data", "pinned_message"),
    }
)
"""Who, where and in answer to what; the words of others are read by `bot.channels.telegram.updates`."""

_WORDS = ("text", "caption", "rich_message", "checklist", "poll", "venue", "checklist_tasks_added", "poll_option_added")
"""What a person writes, in the order in which it is read."""

_READ_AS_EMOJI = ("sticker", "dice")

_UNREADABLE = frozenset(
    {
        *("animation", "audio", "document", "live_photo", "paid_media", "photo", "story", "video", "video_note"),
        *("voice", "contact", "game", "invoice", "location", "giveaway", "giveaway_winners", "gift", "unique_gift"),
        *("users_shared", "chat_shared", "web_app_data", "sticker", "dice"),
    }
)

_SERVICE = frozenset(
    {
        *("new_chat_members", "left_chat_member", "new_chat_title", "new_chat_photo", "delete_chat_photo"),
        *("new_chat_participant", "left_chat_participant", "new_chat_member"),
        *("group_chat_created", "supergroup_chat_created", "channel_chat_created"),
        *("message_auto_delete_timer_changed", "migrate_to_chat_id", "migrate_from_chat_id", "chat_owner_left"),
        *("chat_owner_changed", "successful_payment", "refunded_payment", "write_access_allowed"),
        *("proximity_alert_triggered", "boost_added", "chat_background_set", "checklist_tasks_done"),
        *("direct_message_price_changed", "forum_topic_created", "forum_topic_edited", "forum_topic_closed"),
        *("forum_topic_reopened", "general_forum_topic_hidden", "general_forum_topic_unhidden", "giveaway_created"),
        *("giveaway_completed", "managed_bot_created", "paid_message_price_changed", "poll_option_deleted"),
        *("suggested_post_approved", "suggested_post_approval_failed", "suggested_post_declined"),
        *("suggested_post_paid", "suggested_post_refunded", "video_chat_scheduled", "video_chat_started"),
        *("video_chat_ended", "video_chat_participants_invited", "community_chat_added", "community_chat_removed"),
        *("gift_upgrade_sent", "connected_website", "passport_data", "pinned_message"),
    }
)
"""What happened in the chat; said by nobody."""

_NOT_CHOSEN = frozenset(
    {
        *(
            "id",
            "type",
            "file_id",
            "file_unique_id",
            "mime_type",
            "language",
            "language_code",
            "custom_emoji_id",
            "currency",
        ),
        *("persistent_id", "emoji_status_custom_emoji_id", "background_custom_emoji_id", "username", "phone_number"),
        *("foursquare_id", "foursquare_type", "google_place_id", "google_place_type", "set_name", "thumbnail_url"),
        *("inline_message_id", "invoice_payload", "telegram_payment_charge_id", "provider_payment_charge_id"),
        *("correct_option_id", "option_persistent_id", "currency_code", "style", "entities", "thumbnail"),
    }
)
"""Strings that Telegram or a program writes, as a rule, and what repeats a text beside it."""

_FORMATTING = frozenset({"entities", "caption_entities", "link_preview_options"})
_PROGRAM = re.compile(r"[!-~]*")
"""What a program writes has neither spaces nor other letters than ASCII's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """`words` are read; `beside` has the other strings that the sender chose, such as a file's name.

    `is_unreadable`: something is there that we cannot read. `is_service`: nobody said anything.
    """

    words: str = field(default="", repr=False)
    beside: str = field(default="", repr=False)
    is_unreadable: bool = False
    is_service: bool = False


def content_of(message: Raw) -> Content:
    """Of any message, of whatever kind."""
    words = _joined(_strings(_new_in(message.get(name)), name) for name in _WORDS)
    read = {*_WORDS, *_ENVELOPE, *_FORMATTING}
    if text(section(message, "venue"), "title"):
        read.add("location")  # beside each venue
    if not words and (words := _joined([text(section(message, name), "emoji")] for name in _READ_AS_EMOJI)):
        read.update(_READ_AS_EMOJI)
    others = [name for name in message if name not in read]
    earlier = ((part, name) for name in _WORDS for part in _earlier_in(message.get(name)))
    emoji = ((_without_emoji(message.get(name)), name) for name in _READ_AS_EMOJI if name in read)
    unread = (*((message[name], name) for name in others), *emoji, *earlier)
    beside = _joined(_strings(part, name) for part, name in unread)
    unusual = _joined([_unusual(message)])
    is_unreadable = any(name in _UNREADABLE for name in others)
    if words or is_unreadable:
        return Content(words=words, beside=_joined([[beside, unusual]]), is_unreadable=is_unreadable)
    if any(name in _SERVICE for name in message):
        return Content(beside=_joined([[beside, unusual]]), is_service=True)
    if beside:  # a kind that we do not know: its strings are its words
        return Content(words=beside, beside=unusual)
    return Content(beside=unusual, is_unreadable=bool(others), is_service=not others)


def _without_emoji(value: Any) -> Any:
    return {name: part for name, part in value.items() if name != "emoji"} if isinstance(value, dict) else value


def _is_earlier(name: str, value: Any) -> bool:
    """A message that was changed is told beside what is new in it."""
    return name.endswith("_message") and isinstance(value, dict) and "message_id" in value


def _new_in(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: part for name, part in value.items() if not _is_earlier(name, part)}


def _earlier_in(value: Any) -> list[Any]:
    return [part for name, part in value.items() if _is_earlier(name, part)] if isinstance(value, dict) else []


def _joined(groups: Iterable[Iterable[str]]) -> str:
    return "\n".join(string for group in groups for string in group if string.strip())


def _strings(value: Any, name: str, depth: int = 0) -> Iterator[str]:
    """The strings in a value, in reading order; formatted text becomes one string again."""
    if depth > _MAX_DEPTH:
        yield from (string for inner, string in _all_strings(value, name) if inner not in _NOT_CHOSEN)
    elif isinstance(value, str):
        if name not in _NOT_CHOSEN:
            yield value
    elif isinstance(value, list):
        yield from _strings_of_list(value, name, depth)
    elif isinstance(value, dict):
        is_message = "message_id" in value and "chat" in value
        for inner, part in value.items():
            if inner not in _NOT_CHOSEN and not (inner in _ENVELOPE and is_message):
                yield from _strings(part, str(inner), depth + 1)


def _strings_of_list(values: list[Any], name: str, depth: int) -> Iterator[str]:
    parts = [list(_strings(value, name, depth + 1)) for value in values]
    if name == "text" or any(isinstance(value, str) for value in values):  # pieces of one formatted text
        yield "".join(string for part in parts for string in part)
        return
    for part in parts:
        yield from part


def _unusual(message: Raw) -> Iterator[str]:
    """What no program has written, where programs write: the language of a code block, the letters of a link."""
    for name, value in message.items():
        if name in _ENVELOPE:
            continue
        for inner, string in _all_strings(value, name):
            if (inner in _NOT_CHOSEN or name in _FORMATTING) and not _PROGRAM.fullmatch(string):
                yield string


def _all_strings(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Each string at any depth, and the name that it stands under; below one that is not chosen, that one."""
    waiting = [(value, name)]
    while waiting:
        value, name = waiting.pop()
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, list):
            waiting += [(part, name) for part in reversed(value)]
        elif isinstance(value, dict):
            waiting += [(part, name if name in _NOT_CHOSEN else str(inner)) for inner, part in reversed(value.items())]
