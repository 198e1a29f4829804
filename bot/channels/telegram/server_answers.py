"""What Bot API servers and those in between answer, brought into the documented shape before the library reads it.

An answer of another shape must not raise what only a mistake of ours raises: nobody else's texts wait for it.
"""

import json
import re
from typing import Any

from telegram.error import TelegramError

_IS_REFUSED = re.compile(rb'"ok"\s*:\s*false')
_OK = 200
_UNAVAILABLE = 502
_REFUSALS = range(400, 600)
_NO_NUMBER = 2**53
"""Neither a chat's id nor a time is as large."""
_SAID_BY_TELEGRAM = frozenset({400, 403})
"""Believed of Telegram alone: a page of a proxy or a firewall is no word about one person's chat."""


def status_of(status: int, body: bytes) -> int:
    """The status that an answer means, whatever it came with."""
    if status == _OK and _IS_REFUSED.search(body):
        return _refusal_in(body) or status
    if status in _SAID_BY_TELEGRAM and not body.lstrip().startswith(b"{"):
        return _UNAVAILABLE
    return status


def parsed(body: bytes) -> dict[str, Any]:
    """Raises `TelegramError` for what is no answer at all."""
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise unreadable() from error
    if not isinstance(answer, dict):
        raise unreadable() from TypeError(type(answer).__name__)
    if "result" not in answer:
        if answer.get("ok") is True:
            raise unreadable() from KeyError("result")
        answer["description"] = str(answer.get("description") or "") or None
        answer["parameters"] = _numbers(answer.get("parameters"))
    return answer


def message_id(result: Any) -> int:
    """Of the message that was sent. Raises `TelegramError`: it was sent, and nobody knows as which."""
    try:
        return int(result["message_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable() from error


def updates(result: Any) -> list[dict[str, Any]]:
    """Those that can be confirmed. Raises `TelegramError`."""
    if not isinstance(result, list):
        raise unreadable() from TypeError(type(result).__name__)
    return [one for one in result if isinstance(one, dict) and type(one.get("update_id")) is int]


def unreadable() -> TelegramError:
    return TelegramError("Invalid server response")


def _refusal_in(body: bytes) -> int | None:
    """A server may say with 200 that it refused."""
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    if not isinstance(answer, dict) or answer.get("ok") is not False:
        return None  # the words stand in somebody's text
    code = answer.get("error_code")
    return code if type(code) is int and code in _REFUSALS else _UNAVAILABLE


def _numbers(parameters: Any) -> dict[str, int | float]:
    """Without what is none: the library would take it for one."""
    given = parameters if isinstance(parameters, dict) else {}
    read = {name: _number(given.get(name)) for name in ("retry_after", "migrate_to_chat_id")}
    if (chat_id := read["migrate_to_chat_id"]) is not None:
        read["migrate_to_chat_id"] = int(chat_id)
    return {name: value for name, value in read.items() if value is not None}


def _number(value: Any) -> int | float | None:
    if isinstance(value, str):
        try:
            value = float(value) if "." in value else int(value)
        except ValueError:
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _NO_NUMBER else None
