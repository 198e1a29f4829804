"""What is pushed, as values: the words of people, the events of the platform.

https://developers.weixin.qq.com/doc/service/guide/product/message/Receiving_standard_messages.html
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

_FROM_SCENE = "qrscene_"
_SHOWN_TO_HUMANS = ("image", "voice")
"""What can be fetched, and sent again; of a video only a link comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What all pushes have. `key` is the same for each repeat of one message or event, and for nothing else."""

    person: str
    key: str
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote(Push):
    """A person's words; `is_choice`: they chose them in a menu of ours."""

    text: str = field(repr=False)
    forwarded: str = field(default="", repr=False)
    is_choice: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Showed(Push):
    """Something that is no text. `medium` is the kind and the id of what WeChat keeps for three days."""

    medium: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Came(Push):
    """A person follows the account, or scanned a code of ours; `label` is the code's."""

    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicked(Push):
    """A button of the account's menu."""

    button: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfollowed(Push):
    """A person left the account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored(Push):
    """Nothing to be done; why."""

    reason: str


Happened = Wrote | Showed | Came | Clicked | Unfollowed | Ignored


def person_in(fields: Mapping[str, str]) -> str:
    """Who it is about; empty where it does not say."""
    return fields.get("FromUserName", "")


def key_of(fields: Mapping[str, str]) -> str:
    """Of a message its id, which is kept as text: it has 64 bits. An event has none."""
    if message_id := fields.get("MsgId"):
        return message_id
    told = [fields.get(name, "") for name in ("FromUserName", "CreateTime", "MsgType", "Event", "EventKey")]
    return f"event-{hashlib.sha256(chr(0).join(told).encode()).hexdigest()[:32]}"


def read(fields: Mapping[str, str]) -> Happened:
    """The fields of one push; raises `KeyError`, `ValueError` for what has another shape."""
    if not fields["FromUserName"]:
        raise ValueError("nobody sent it")
    person, key, sent_at = fields["FromUserName"], key_of(fields), _at(fields["CreateTime"])
    match fields["MsgType"]:
        case "event":
            return _event(fields, person, key, sent_at)
        case "text":
            is_choice = "bizmsgmenuid" in fields
            return Wrote(person=person, key=key, sent_at=sent_at, text=fields["Content"], is_choice=is_choice)
        case "voice" if recognised := fields.get("Recognition", "").strip():
            return Wrote(person=person, key=key, sent_at=sent_at, text=recognised)
        case "link":
            told = "\n".join(filter(None, (fields.get("Title"), fields.get("Description"))))
            if told:
                return Wrote(person=person, key=key, sent_at=sent_at, text="", forwarded=told)
    return Showed(person=person, key=key, sent_at=sent_at, medium=_medium(fields))


def _event(fields: Mapping[str, str], person: str, key: str, sent_at: datetime) -> Happened:
    event, about = fields["Event"].lower(), fields.get("EventKey", "")
    match event:
        case "subscribe" | "scan":
            return Came(person=person, key=key, sent_at=sent_at, label=about.removeprefix(_FROM_SCENE))
        case "unsubscribe":
            return Unfollowed(person=person, key=key, sent_at=sent_at)
        case "click":
            return Clicked(person=person, key=key, sent_at=sent_at, button=about)
    return Ignored(person=person, key=key, sent_at=sent_at, reason=event)


def _medium(fields: Mapping[str, str]) -> str | None:
    kind, media_id = fields["MsgType"], fields.get("MediaId")
    return f"{kind}:{media_id}" if media_id and kind in _SHOWN_TO_HUMANS else None


def _at(written: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(written), UTC)
    except (OverflowError, OSError):
        raise ValueError("no time") from None
