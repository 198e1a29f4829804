"""What a pull returns, as values: the words of people, the events of the platform."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from bot.channels.wecom.chat import WecomChat
from bot.channels.wecom.errors import FAIL_REASONS, REFUSED_BY_PERSON

_CUSTOMER, _SERVICER = 3, 5
_ENTRY_SECONDS = 20
"""A welcome may be said for so long after somebody entered."""
_BEGINS, _MOVES, _ENDS, _REOPENS = 1, 2, 3, 4
"""`change_type` of session_status_change."""
_UNKNOWN_COLLEAGUE = "somebody"
MEDIA = ("image", "voice", "video", "file")
"""What can be fetched, and sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote:
    """A person's words, or a choice in one of our menus."""

    chat: WecomChat
    message_id: str
    sent_at: datetime
    text: str = field(repr=False)
    forwarded: str = field(default="", repr=False)
    menu_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Showed:
    """Something of a person that is no text; `beside` has the strings that came with it, such as a link's title.

    `medium` is the kind and the id of what WeCom keeps for three days, with a colon between them.
    """

    chat: WecomChat
    message_id: str
    sent_at: datetime
    beside: str = field(default="", repr=False)
    medium: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A person opened the chat. With a code, a welcome may be said until `until`, once."""

    chat: WecomChat
    message_id: str
    at: datetime
    scene: str
    welcome_code: str = field(default="", repr=False)

    @property
    def until(self) -> datetime:
        return self.at + timedelta(seconds=_ENTRY_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDelivered:
    """What was taken did not arrive."""

    chat: WecomChat
    delivery_id: UUID | None
    reason: str
    is_refused_by_person: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanSpeaks:
    """A colleague has the chat in the WeCom app."""

    chat: WecomChat
    servicer: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanEnded:
    """They have ended the session."""

    chat: WecomChat
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A person took a message back."""

    chat: WecomChat
    message_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DutyChanged:
    """A colleague began or ended to take sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Nothing to be done; why."""

    reason: str


Happened = Wrote | Showed | Entered | NotDelivered | HumanSpeaks | HumanEnded | Recalled | DutyChanged | Ignored


def person_of(item: Mapping[str, Any]) -> str:
    """Whose it is: what is of one person is handled in order."""
    return str(item.get("external_userid") or _inside(item, "event").get("external_userid") or "")


def read(item: Mapping[str, Any], account: str) -> Happened:
    """One element of `msg_list`. `account` is that which was pulled: events need not name it."""
    if item.get("msgtype") == "event":
        return _event(item, account)
    chat = WecomChat(account=str(item.get("open_kfid") or account), person=person_of(item))
    if item.get("origin") == _SERVICER:
        servicer = str(item.get("servicer_userid") or _UNKNOWN_COLLEAGUE)
        return HumanSpeaks(chat=chat, servicer=servicer, at=_at(item)) if chat.person else Ignored(reason="no_person")
    if item.get("origin") != _CUSTOMER or not chat.person:
        return Ignored(reason="not_of_a_person")
    if item.get("msgtype") == "merged_msg" and (passed_on := _merged(_inside(item, "merged_msg"))):
        return Wrote(chat=chat, message_id=_id(item), sent_at=_at(item), text="", forwarded=passed_on)
    if item.get("msgtype") != "text":
        return Showed(chat=chat, message_id=_id(item), sent_at=_at(item), beside=_beside(item), medium=_medium(item))
    words = _inside(item, "text")
    return Wrote(
        chat=chat,
        message_id=_id(item),
        sent_at=_at(item),
        text=str(words.get("content") or ""),
        menu_id=str(words.get("menu_id") or ""),
    )


def _event(item: Mapping[str, Any], account: str) -> Happened:
    event = _inside(item, "event")
    kind = str(event.get("event_type"))
    chat = WecomChat(account=str(event.get("open_kfid") or account), person=person_of(item))
    if kind == "servicer_status_change":
        return DutyChanged()
    if not chat.person or kind not in _EVENTS:
        return Ignored(reason=kind)
    return _EVENTS[kind](chat, item, event)


def _entered(chat: WecomChat, item: Mapping[str, Any], event: Mapping[str, Any]) -> Happened:
    return Entered(
        chat=chat,
        message_id=_id(item),
        at=_at(item),
        scene=str(event.get("scene") or ""),
        welcome_code=str(event.get("welcome_code") or ""),
    )


def _recalled(chat: WecomChat, item: Mapping[str, Any], event: Mapping[str, Any]) -> Happened:
    return Recalled(chat=chat, message_id=str(event.get("recall_msgid") or ""), at=_at(item))


def _not_delivered(chat: WecomChat, _item: Mapping[str, Any], event: Mapping[str, Any]) -> Happened:
    fail_type = event.get("fail_type")
    try:
        delivery_id = UUID(hex=str(event.get("fail_msgid")))
    except ValueError:
        delivery_id = None
    return NotDelivered(
        chat=chat,
        delivery_id=delivery_id,
        reason=FAIL_REASONS.get(fail_type if isinstance(fail_type, int) else 0, FAIL_REASONS[0]),
        is_refused_by_person=fail_type == REFUSED_BY_PERSON,
    )


def _session(chat: WecomChat, item: Mapping[str, Any], event: Mapping[str, Any]) -> Happened:
    at = _at(item)
    change = event.get("change_type")
    if change == _ENDS:
        return HumanEnded(chat=chat, at=at)
    if change in (_BEGINS, _MOVES, _REOPENS):
        servicer = str(event.get("new_servicer_userid") or event.get("old_servicer_userid") or _UNKNOWN_COLLEAGUE)
        return HumanSpeaks(chat=chat, servicer=servicer, at=at)
    return Ignored(reason="session_status_change")


_EVENTS: dict[str, Callable[[WecomChat, Mapping[str, Any], Mapping[str, Any]], Happened]] = {
    "enter_session": _entered,
    "msg_send_fail": _not_delivered,
    "session_status_change": _session,
    "user_recall_msg": _recalled,
}


def _merged(merged: Mapping[str, Any]) -> str:
    """The texts of messages that a person passed on together."""
    listed = merged.get("item")
    return "\n".join(text for each in listed if (text := _text_of(each))) if isinstance(listed, list) else ""


def _text_of(each: object) -> str:
    """`msg_content` is the JSON of a message's object."""
    content = each.get("msg_content") if isinstance(each, Mapping) else None
    try:
        read_content = json.loads(content) if isinstance(content, str) else content
    except ValueError:
        return ""
    return str(_inside(read_content, "text").get("content") or "") if isinstance(read_content, Mapping) else ""


def _beside(item: Mapping[str, Any]) -> str:
    """The strings of a person's own choice in what is no text."""
    inside = _inside(item, str(item.get("msgtype")))
    return "\n".join(str(inside[name]) for name in _NAMES if inside.get(name))


def _medium(item: Mapping[str, Any]) -> str | None:
    kind = str(item.get("msgtype"))
    media_id = _inside(item, kind).get("media_id")
    return f"{kind}:{media_id}" if kind in MEDIA and media_id else None


_NAMES = ("title", "desc", "name", "address", "file_name")


def _id(item: Mapping[str, Any]) -> str:
    """Nothing says that every event has an id: the same event then has the same hash."""
    given = item.get("msgid")
    if given:
        return str(given)
    return "event-" + hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()[:40]


def _at(item: Mapping[str, Any]) -> datetime:
    seconds = item.get("send_time")
    return datetime.fromtimestamp(seconds if isinstance(seconds, int | float) else 0, UTC)


def _inside(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = item.get(name)
    return found if isinstance(found, Mapping) else {}
