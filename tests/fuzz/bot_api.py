"""Updates as the Bot API documents them, every optional field now and then, and kinds that it does not document.

Drawn from https://core.telegram.org/bots/api, not from any library's types. One of the strings that a person can
choose is the danger that must be found, wherever it stands.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

DANGERS = ("我今晚就跳楼", "我想自杀", "我今晚就跳樓", "i want to kill myself tonight", "我已经写好遗书了")
ME, FRIEND, BOT_ID = 123456789, 987654321, 4242

_CALM = ("你好", "今天还行", "hello there", "作业.docx", "周末一起吃饭吗", "😢", "a@b.com", "/help", "…")
_UNKNOWN_NAMES = ("hologram", "dream", "scene", "aura", "layers", "note", "narration", "x")
_MEDIA = (
    "animation",
    "audio",
    "document",
    "photo",
    "video",
    "video_note",
    "voice",
    "live_photo",
    "paid_media",
    "story",
)
_SERVICE = (
    *("message_auto_delete_timer_changed", "proximity_alert_triggered", "boost_added", "chat_background_set"),
    *("forum_topic_edited", "forum_topic_closed", "forum_topic_reopened", "write_access_allowed", "video_chat_started"),
)


@dataclass
class Draft:
    """An update being drawn; `slots` are the ways to put the danger into one of its strings."""

    chance: random.Random
    danger: str
    slots: list[Callable[[], None]] = field(default_factory=list)
    is_in_group: bool = False
    is_service: bool = False
    depth: int = 0

    def maybe(self, share: float = 0.5) -> bool:
        return self.chance.random() < share

    def said(self, holder: dict[str, Any], name: str) -> None:
        """A string that a person chose."""
        holder[name] = self._calm()
        self.slots.append(lambda: holder.__setitem__(name, self._in_danger()))

    def told(self, holder: list[Any]) -> None:
        """The same, in a list."""
        place = len(holder)
        holder.append(self._calm())
        self.slots.append(lambda: holder.__setitem__(place, self.danger))

    def coded(self, holder: dict[str, Any], name: str, value: str) -> None:
        """A string that a program writes, as a rule, and a person can."""
        holder[name] = value
        self.slots.append(lambda: holder.__setitem__(name, f"{value} {self.danger}"))

    def _calm(self) -> str:
        words = self.chance.choice(_CALM)
        return words * self.chance.randint(1, 300) if self.maybe(0.02) else words

    def _in_danger(self) -> str:
        """The danger at the end; or now and then far from both ends."""
        if self.maybe(0.97):
            return f"{self.chance.choice(_CALM)}。{self.danger}"
        around = "今天天气不错。" * self.chance.randint(1, 900)
        return f"{around}{self.danger}。{around}"


def update(chance: random.Random) -> tuple[dict[str, Any], str]:
    """An update that concerns the bot, and the danger that stands in it, if any does."""
    draft = Draft(chance, chance.choice(DANGERS), is_in_group=chance.random() < 0.2)
    kind = chance.choice(("message",) * 5 + ("edited_message",) * 2)
    message = _message(draft, is_edited=kind == "edited_message")
    is_in_danger = bool(draft.slots) and chance.random() < 0.9
    if is_in_danger:
        chance.choice(draft.slots)()
    if draft.is_in_group:
        _address(draft, message)
    return {"update_id": chance.randint(1, 2**31), kind: message}, draft.danger if is_in_danger else ""


def _address(draft: Draft, message: dict[str, Any]) -> None:
    """In a group the bot reads what is said to it: what names it, or answers it."""
    if isinstance(text := message.get("text"), str) and not draft.is_service and draft.maybe():
        message["text"] = f"@MindglmTestBot {text}"
        return
    message["reply_to_message"] = {"message_id": 1, "date": 1, "chat": message["chat"], "from": _user(draft, BOT_ID)}
    message.pop("external_reply", None)
    if isinstance(text := message.get("text"), str) and text.startswith("/"):
        message["text"] = f"a {text}"


def _message(draft: Draft, *, is_edited: bool) -> dict[str, Any]:
    chat = {"id": -1001, "type": "supergroup"} if draft.is_in_group else {"id": ME, "type": "private"}
    message: dict[str, Any] = {"message_id": draft.chance.randint(1, 2**31), "date": 1_790_000_000, "chat": chat}
    message["from"] = _user(draft, ME)
    if is_edited:
        message["edit_date"] = 1_790_000_100
        draft.chance.choice((_text, _text, _captioned, _checklist, _rich))(draft, message)
    else:
        draft.chance.choice(_CONTENTS)(draft, message)
    for share, extra in _EXTRAS:
        if draft.maybe(share) and not draft.is_service:
            extra(draft, message)
    return message


def _user(draft: Draft, user_id: int) -> dict[str, Any]:
    user: dict[str, Any] = {"id": user_id, "is_bot": user_id == BOT_ID, "first_name": "人"}
    optional = {"last_name": "王", "username": "xiaowang", "language_code": "zh-hant", "is_premium": True, "aura": {}}
    return user | {name: value for name, value in optional.items() if draft.maybe(0.3)}


# --- contents


def _text(draft: Draft, message: dict[str, Any]) -> None:
    draft.said(message, "text")
    if draft.maybe(0.3):
        message["entities"] = _entities(draft)


def _entities(draft: Draft) -> list[Any]:
    kinds = ("bold", "mention", "text_link", "custom_emoji", "date_time", "of_tomorrow")
    entity: dict[str, Any] = {"type": draft.chance.choice(kinds), "offset": 0, "length": 1, "user": None}
    count = draft.chance.randint(0, 3)
    if count:
        draft.coded(entity, "url", "http://a")
        draft.coded(entity, "language", "python")
    return [entity] * count


def _file(draft: Draft) -> dict[str, Any]:
    file: dict[str, Any] = {"file_id": "AgAC", "file_unique_id": "u", "file_size": 2**33, "mime_type": "x/y"}
    if draft.maybe(0.3):
        file["thumbnail"] = {"file_id": "t", "file_unique_id": "v", "width": 1, "height": 1}
    return file


def _captioned(draft: Draft, message: dict[str, Any]) -> None:
    _media(draft, message)
    draft.said(message, "caption")
    if draft.maybe(0.3):
        message["caption_entities"] = _entities(draft)


def _media(draft: Draft, message: dict[str, Any]) -> None:
    name = draft.chance.choice(_MEDIA)
    file = _file(draft)
    if name in {"document", "audio", "video", "animation"} and draft.maybe(0.7):
        draft.said(file, "file_name")
    if name == "audio":
        draft.said(file, "title")
        draft.said(file, "performer")
    message[name] = [file, _file(draft)] if name in {"photo", "live_photo"} else file
    if draft.maybe(0.3):
        message["media_group_id"] = "13"


def _checklist(draft: Draft, message: dict[str, Any]) -> None:
    checklist: dict[str, Any] = {"tasks": []}
    draft.said(checklist, "title")
    for number in range(draft.chance.randint(1, 4)):
        task = {"id": number}
        draft.said(task, "text")
        checklist["tasks"].append(task)
    message["checklist"] = checklist


def _poll(draft: Draft, message: dict[str, Any]) -> None:
    poll: dict[str, Any] = {"id": "5", "type": "quiz", "is_anonymous": True, "options": [], "total_voter_count": 0}
    draft.said(poll, "question")
    for _ in range(draft.chance.randint(1, 4)):
        option = {"voter_count": 0, "persistent_id": "9"}
        draft.said(option, "text")
        poll["options"].append(option)
    for name in ("explanation", "description"):
        if draft.maybe(0.3):
            draft.said(poll, name)
    message["poll"] = poll


def _rich(draft: Draft, message: dict[str, Any]) -> None:
    message["rich_message"] = {"blocks": [_block(draft) for _ in range(draft.chance.randint(1, 3))], "is_rtl": False}


def _block(draft: Draft) -> dict[str, Any]:
    draft.depth += 1
    kinds = ("paragraph", "heading", "preformatted", "quote", "list", "details", "table", "of_tomorrow")
    block: dict[str, Any] = {"type": draft.chance.choice(kinds if draft.depth < 6 else kinds[:3])}
    match block["type"]:
        case "list":
            block["items"] = [{"blocks": [_block(draft)], "label": "1"}]
        case "quote" | "details":
            block["blocks"] = [_block(draft)]
            draft.said(block, "summary")
        case "table":
            cell: dict[str, Any] = {"is_header": True}
            draft.said(cell, "text")
            block["cells"] = [[cell, {"text": "x"}]]
        case "preformatted":
            _rich_text(draft, block)
            draft.coded(block, "language", "python")
        case _:
            _rich_text(draft, block)
    return block


def _rich_text(draft: Draft, holder: dict[str, Any]) -> None:
    """A string, a list of rich texts, or one with a type: and the danger may be cut in two by formatting."""
    match draft.chance.randrange(3):
        case 0:
            draft.said(holder, "text")
        case 1:
            inner: dict[str, Any] = {"type": "bold"}
            draft.said(inner, "text")
            holder["text"] = ["前", inner, "后"]
        case _:
            parts: list[Any] = ["今天", {"type": "italic", "text": "还行"}, {"type": "custom_emoji", "emoji": "x"}]
            holder["text"] = parts
            draft.slots.append(
                lambda: parts.__setitem__(slice(0, 2), [draft.danger[:3], {"type": "b", "text": draft.danger[3:]}])
            )


def _venue(draft: Draft, message: dict[str, Any]) -> None:
    message["location"] = {"latitude": 1.0, "longitude": 2.0}
    message["venue"] = {"location": message["location"], "foursquare_id": "x"}
    draft.said(message["venue"], "title")
    draft.said(message["venue"], "address")


def _contact(draft: Draft, message: dict[str, Any]) -> None:
    message["contact"] = {"phone_number": "1", "user_id": 5}
    for name in ("first_name", "last_name", "vcard"):
        draft.said(message["contact"], name)


def _others(draft: Draft, message: dict[str, Any]) -> None:
    name = draft.chance.choice(("sticker", "dice", "game", "web_app_data", "invoice", "location", "users_shared"))
    content: dict[str, Any] = {"file_id": "x", "emoji": "😢", "value": 3} if name in {"sticker", "dice"} else {}
    if name in {"game", "invoice"}:
        draft.said(content, "title")
        draft.said(content, "description")
    if name == "web_app_data":
        draft.said(content, "data")
    message[name] = content


def _service(draft: Draft, message: dict[str, Any]) -> None:
    draft.is_service = True
    message[draft.chance.choice(_SERVICE)] = {"seconds": 1}
    if not draft.is_in_group and draft.maybe():
        topic: dict[str, Any] = {"icon_color": 1}
        draft.said(topic, "name")
        message["forum_topic_created"] = topic


def _tomorrow(draft: Draft, message: dict[str, Any]) -> None:
    name = draft.chance.choice(_UNKNOWN_NAMES)
    if name not in message:
        message[name] = _unknown(draft)


def _unknown(draft: Draft) -> Any:
    """Whatever the next version brings."""
    draft.depth += 1
    if draft.maybe(0.01):
        return _deep(draft)
    match draft.chance.randrange(6 if draft.depth < 8 else 3):
        case 0:
            return draft.chance.choice((None, True, 1, 2**63, 0.5, [], {}))
        case 1 | 2:
            holder: dict[str, Any] = {"type": "x"}
            draft.said(holder, draft.chance.choice(_UNKNOWN_NAMES))
            return holder
        case 3:
            values: list[Any] = []
            draft.told(values)
            return values
        case 4:
            return [_unknown(draft) for _ in range(draft.chance.randint(0, 3))]
        case _:
            return {name: _unknown(draft) for name in draft.chance.sample(_UNKNOWN_NAMES, 2)}


def _deep(draft: Draft) -> Any:
    """Objects in each other, further than anybody would go."""
    holder: dict[str, Any] = {}
    draft.said(holder, "note")
    value: Any = holder
    for _ in range(draft.chance.randint(50, 300)):
        value = [value] if draft.maybe() else {draft.chance.choice(_UNKNOWN_NAMES): value}
    return value


_CONTENTS = (
    *(_text, _text, _text, _captioned, _captioned, _media, _checklist, _poll, _rich, _rich, _venue, _contact),
    *(_others, _service, _tomorrow, _tomorrow),
)


# --- what may stand beside any content


def _forwarded(draft: Draft, message: dict[str, Any]) -> None:
    origin: dict[str, Any] = {"date": 1, "type": draft.chance.choice(("user", "hidden_user", "chat", "of_tomorrow"))}
    if origin["type"] == "user":
        origin["sender_user"] = _user(draft, draft.chance.choice((ME, FRIEND)))
    message["forward_origin"] = origin


def _replying(draft: Draft, message: dict[str, Any]) -> None:
    author = draft.chance.choice((BOT_ID, FRIEND, ME))
    original: dict[str, Any] = {"message_id": 1, "date": 1, "chat": message["chat"], "from": _user(draft, author)}
    if author == FRIEND and not draft.is_in_group:
        draft.chance.choice((_text, _captioned, _checklist, _poll, _venue))(draft, original)
    if draft.maybe(0.3):
        original.setdefault("video", {"duration": "?"})
    message["reply_to_message"] = original


def _replying_elsewhere(draft: Draft, message: dict[str, Any]) -> None:
    if "reply_to_message" in message or draft.is_in_group:
        return
    reply = {"origin": {"type": "user", "sender_user": _user(draft, draft.chance.choice((FRIEND, ME))), "date": 1}}
    message["external_reply"] = reply
    if draft.maybe():
        draft.chance.choice((_checklist, _poll, _venue))(draft, reply)
        return
    message["quote"] = {"position": 0}
    draft.said(message["quote"], "text")


def _in_topic(_draft: Draft, message: dict[str, Any]) -> None:
    message |= {"is_topic_message": True, "message_thread_id": 777}


def _keyboard(_draft: Draft, message: dict[str, Any]) -> None:
    message["reply_markup"] = {"inline_keyboard": [[{"text": "x", "callback_data": "y", "style": "danger"}]]}


def _preview(draft: Draft, message: dict[str, Any]) -> None:
    message["link_preview_options"] = {"is_disabled": draft.maybe(), "url": "http://a"}
    message["effect_id"] = "5104"


def _of_no_type(draft: Draft, message: dict[str, Any]) -> None:
    name = draft.chance.choice(("entities", "via_bot", "photo", "sender_tag", "edit_date", "media_group_id", "quote"))
    if name not in message:
        message[name] = draft.chance.choice((None, 5, "x", [], {}, [[]], -(2**70)))


_EXTRAS: tuple[tuple[float, Callable[[Draft, dict[str, Any]], None]], ...] = (
    (0.15, _forwarded),
    (0.2, _replying),
    (0.1, _replying_elsewhere),
    (0.1, _in_topic),
    (0.1, _keyboard),
    (0.2, _preview),
    (0.15, _tomorrow),
    (0.15, _of_no_type),
)
