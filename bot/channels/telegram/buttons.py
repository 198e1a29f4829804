"""Keyboard under our messages and their callback data: at most 64 bytes, never anybody's words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from care.age import AgeBand
from care.disclosure import Answer
from care.texts import Texts

_TAKE = re.compile(r"take:(?P<conversation>[0-9a-f]{32})")
_RATING = re.compile(r"rate:(?P<value>-?1):(?P<turn>[0-9a-f]{32})")
_ANSWERS = {
    "adult": Answer(agrees=True, band=AgeBand.ADULT),
    "minor": Answer(agrees=True, band=AgeBand.MINOR),
    "child": Answer(band=AgeBand.CHILD),
    "decline": Answer(agrees=False),
}
_CONSENT = re.compile(rf"consent:(?P<answer>{'|'.join(_ANSWERS)})(?::(?P<user>[1-9]\d{{0,18}}))?")


KeyboardButton = dict[str, str]
Keyboard = dict[str, list[Sequence[KeyboardButton]]]
"""InlineKeyboardMarkup of the Bot API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentButton:
    """What a button under the notice answers, and whose it is; None for anybody's."""

    answer: Answer
    user_id: int | None = None


def rating(turn_id: UUID) -> Keyboard:
    """Under a reply."""
    return _rows([_pressed("👍", f"rate:1:{turn_id.hex}"), _pressed("👎", f"rate:-1:{turn_id.hex}")])


def read_rating(data: str) -> tuple[UUID, int] | None:
    """The turn, and 1 or -1."""
    found = _RATING.fullmatch(data)
    return (UUID(hex=found["turn"]), int(found["value"])) if found else None


def consent(texts: Texts, *, user_id: int | None = None) -> Keyboard:
    """Under the question for consent; in a group, for the person who is asked."""
    whose = f":{user_id}" if user_id is not None else ""
    return _rows(*([_pressed(texts.say(f"disclosure_button_{name}"), f"consent:{name}{whose}")] for name in _ANSWERS))


def read_consent(data: str) -> ConsentButton | None:
    """What was answered to the question."""
    found = _CONSENT.fullmatch(data)
    if found is None:
        return None
    return ConsentButton(answer=_ANSWERS[found["answer"]], user_id=int(found["user"]) if found["user"] else None)


def alert(texts: Texts, conversation_id: UUID, link: str) -> Keyboard:
    """Under an alert to an admin; `link` opens the console, if it is not empty."""
    take = _pressed(texts.say("alert_button_take"), f"take:{conversation_id.hex}")
    opening = [{"text": texts.say("alert_button_open"), "url": link}] if link else []
    return _rows([take, *opening])


def links_apart(keyboard: Keyboard) -> tuple[list[str], Keyboard | None]:
    """The addresses that buttons open, and the other buttons."""
    every = [button for row in keyboard["inline_keyboard"] for button in row]
    others = [button for button in every if "url" not in button]
    return [button["url"] for button in every if "url" in button], _rows(others) if others else None


def read_order(data: str) -> str | None:
    """What an admin would have written instead of pressing."""
    found = _TAKE.fullmatch(data)
    return f"/admin takeover {found['conversation']}" if found else None


def _pressed(text: str, data: str) -> KeyboardButton:
    return {"text": text, "callback_data": data}


def _rows(*rows: Sequence[KeyboardButton]) -> Keyboard:
    return {"inline_keyboard": list(rows)}
