"""Reads messages as a puppet service gives them: pure functions from its payloads to what concerns us."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Protocol

from bot.channels.wechat import speech
from bot.channels.wechat.chat import WechatChat
from dialogue.messages import InboundMessage, MediumOffer
from dialogue.states import MediumKind

_MENTION_END = r"(?:\u2005|\s|$)"
"""WeChat ends a mention by U+2005, some puppets by a space."""
_ANY_MENTION = re.compile("(?<![\\w.+-])@[^@\u2005\n]{1,64}\u2005")
"""A name may have spaces; an address such as a@b.com is no mention."""

_SYSTEM_CONTACTS = {
    *("fmessage", "filehelper", "floatbottle", "medianote", "mphelper", "newsapp", "notifymessage"),
    *("qmessage", "qqmail", "tmessage", "weixin", "weixinreminder"),
}
"""WeChat's own contacts, by what the web protocol calls them; a puppet may not know that they are no people."""
_OFFICIAL_ACCOUNT = "gh_"
_LARGEST_IN_SECONDS = 100_000_000_000
"""Timestamps are milliseconds; some puppets give seconds."""


class Form(IntEnum):
    """What a message is: the numbers of wechaty-puppet's `types.Message`, which puppet services send as they are.

    (wechaty's own mapping of them ends at 15 and breaks at 16, a post.)
    """

    UNKNOWN = 0
    ATTACHMENT = 1
    AUDIO = 2
    CONTACT = 3
    CHAT_HISTORY = 4
    EMOTICON = 5
    IMAGE = 6
    TEXT = 7
    LOCATION = 8
    MINI_PROGRAM = 9
    GROUP_NOTE = 10
    TRANSFER = 11
    RED_ENVELOPE = 12
    RECALLED = 13
    URL = 14
    VIDEO = 15
    POST = 16


_MEDIA = {
    Form.ATTACHMENT: MediumKind.FILE,
    Form.AUDIO: MediumKind.VOICE,
    Form.EMOTICON: MediumKind.IMAGE,
    Form.IMAGE: MediumKind.IMAGE,
    Form.VIDEO: MediumKind.VIDEO,
}
"""What a puppet can hand over as a file."""
_NOTICES = {Form.UNKNOWN, Form.GROUP_NOTE, Form.RECALLED, Form.POST}
"""Said by nobody, or to nobody."""


class Payload(Protocol):
    """`wechaty.puppet.MessagePayloadResponse`."""

    id: str
    text: str
    timestamp: int
    type: int
    from_id: str
    room_id: str
    to_id: str
    mention_ids: list[str]


@dataclass(frozen=True, slots=True)
class Said:
    """Words."""

    message: InboundMessage


@dataclass(frozen=True, slots=True)
class Showed:
    """Something that is no text; the message has none."""

    message: InboundMessage


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing that concerns us; `reason` is a short name."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who the bot is on WeChat, and since when; what is older than that belongs to the account's past."""

    id: str
    name: str = ""
    since: datetime | None = None


def read(payload: Payload, account: Account, *, are_rooms_served: bool, now: datetime) -> Said | Showed | Ignored:
    """What that message is to us."""
    form = Form(payload.type) if payload.type in set(Form) else Form.UNKNOWN
    sent_at = _sent_at(payload.timestamp, now)
    for is_so, reason in _reasons(payload, account, form, sent_at, are_rooms_served=are_rooms_served):
        if is_so():
            return Ignored(reason)
    place = WechatChat(contact_id=payload.from_id, room_id=payload.room_id or None)
    spoken = speech.read(payload.text, is_room=bool(payload.room_id), account_name=account.name)
    words = _without_mention(spoken.own, account) if payload.room_id else spoken.own
    message = InboundMessage(
        address=place.address,
        account=account.id,
        user_id=payload.from_id,
        external_id=payload.id,
        text=words if form is Form.TEXT else "",
        quoted=spoken.quoted if form is Form.TEXT else "",
        sent_at=sent_at,
        is_private=place.room_id is None,
        shown_reference=payload.id,
        media=(MediumOffer(kind=_MEDIA[form], reference=payload.id, mark=payload.id),) if form in _MEDIA else (),
    )
    return Said(message) if form is Form.TEXT else Showed(message)


def _reasons(
    payload: Payload, account: Account, form: Form, sent_at: datetime, *, are_rooms_served: bool
) -> list[tuple[Callable[[], bool], str]]:
    return [
        (lambda: payload.from_id == account.id, "own"),
        (lambda: not payload.from_id or is_no_person(payload.from_id), "not_a_person"),
        (lambda: form in _NOTICES, "notice"),
        (lambda: account.since is not None and sent_at < account.since, "before_login"),
        (lambda: bool(payload.room_id) and not are_rooms_served, "room"),
        (lambda: bool(payload.room_id) and not _is_mentioned(payload, account), "not_mentioned"),
    ]


def is_no_person(contact_id: str) -> bool:
    """Whether the id alone tells that this is an official account or WeChat itself."""
    return contact_id in _SYSTEM_CONTACTS or contact_id.startswith(_OFFICIAL_ACCOUNT)


def _is_mentioned(payload: Payload, account: Account) -> bool:
    """Some puppets do not fill the list of mentions in."""
    if payload.mention_ids:
        return account.id in payload.mention_ids
    return bool(account.name) and _mention(account.name).search(payload.text) is not None


def _without_mention(text: str, account: Account) -> str:
    """Without the bot's own; others that are mentioned are spoken of."""
    if account.name and _mention(account.name).search(text):
        return _mention(account.name).sub("", text)
    return _ANY_MENTION.sub("", text, count=1)


def _mention(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.+-])@{re.escape(name)}{_MENTION_END}")


def _sent_at(timestamp: int, now: datetime) -> datetime:
    if not timestamp:
        return now
    seconds = timestamp if timestamp < _LARGEST_IN_SECONDS else timestamp / 1000
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return now
