"""What travels between a bot and the Bot API: messages, refusals, and the limits of Telegram's."""

import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.bot.telegram.http import Answer

BOT = {"id": 4242, "is_bot": True, "first_name": "MindGLM", "username": "MindglmTestBot"}

_MAX_UNITS = 4096


@dataclass
class Sent:
    """A message of the bot's in a chat; `versions` are its texts, the last is seen."""

    message_id: int
    versions: list[str]
    buttons: list[str] = field(default_factory=list)
    reply_to: int | None = None
    thread_id: int | None = None
    only_to: int | None = None
    at: float = field(default_factory=time.monotonic)
    file: bytes | None = None

    @property
    def text(self) -> str:
        return self.versions[-1]


@dataclass
class Refusal(Exception):
    status: int
    description: str
    parameters: dict[str, Any] | None = None


@dataclass
class Fault:
    """What happens to the next `count` calls of a method: 500, 429, "drop", "lose" or "hold" (served, then no end)."""

    method: str
    kind: int | str
    count: int = 1
    retry_after: int = 1


def refused(status: int, description: str, parameters: dict[str, Any] | None = None) -> Answer:
    body = {"ok": False, "error_code": status, "description": description}
    return Answer(status, json.dumps(body | ({"parameters": parameters} if parameters else {})).encode())


def check_text(text: str) -> None:
    if not text.strip():
        raise Refusal(400, "Bad Request: message text is empty")
    if len(text.encode("utf-16-le")) // 2 > _MAX_UNITS:
        raise Refusal(400, "Bad Request: message is too long")


def check_buttons(fields: dict[str, Any]) -> None:
    """An address without a dot is none to Telegram."""
    for url in (button["url"] for button in _keyboard_of(fields) if "url" in button):
        if "." not in (urlsplit(url).hostname or ""):
            raise Refusal(400, f"Bad Request: inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")


def buttons_of(fields: dict[str, Any]) -> list[str]:
    return [button["callback_data"] for button in _keyboard_of(fields) if "callback_data" in button]


def _keyboard_of(fields: dict[str, Any]) -> list[dict[str, str]]:
    return [button for row in fields.get("reply_markup", {}).get("inline_keyboard", []) for button in row]


def shown_as(chat_id: int, sent: Sent) -> dict[str, Any]:
    chat = {"id": chat_id, "type": "private" if chat_id > 0 else "supergroup"}
    return {"message_id": sent.message_id, "from": BOT, "chat": chat, "date": int(time.time()), "text": sent.text}


def chat_of(update: dict[str, Any]) -> int:
    content = next(value for name, value in update.items() if name != "update_id")
    return int((content.get("chat") or content["from"])["id"])
