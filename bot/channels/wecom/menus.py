"""Menus under our messages. A choice comes back as a text with the id of the item; never anybody's words.

https://developer.work.weixin.qq.com/document/path/94677: at most 1,024 bytes of head and ten items, texts among them of
256 bytes, ids of 64.
"""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from bot.outgoing.measure import Measure
from bot.outgoing.splitting import split
from care.age import AgeBand
from care.disclosure import Answer
from care.texts import Texts

_HEAD_BYTES = 1024
_TEXT_BYTES = 256
_MAX_ITEMS = 10
_RATING = re.compile(r"rate:(?P<value>-?1):(?P<turn>[0-9a-f]{32})")
_ANSWERS = {
    "adult": Answer(agrees=True, band=AgeBand.ADULT),
    "minor": Answer(agrees=True, band=AgeBand.MINOR),
    "child": Answer(band=AgeBand.CHILD),
    "decline": Answer(agrees=False),
}
_CONSENT = re.compile(rf"consent:(?P<answer>{'|'.join(_ANSWERS)})")

Menu = dict[str, Any]
"""The object `msgmenu` of a message."""


def consent(text: str, texts: Texts) -> Menu | None:
    """The question for consent with its answers; None if it is too long for a menu."""
    return _menu(text, [(f"consent:{name}", texts.say(f"disclosure_button_{name}")) for name in _ANSWERS])


def rating(text: str, turn_id: UUID) -> Menu | None:
    """A reply, to be liked or not; None if it is too long for a menu's head."""
    if Measure.UTF8.of(text) > _HEAD_BYTES:
        return None
    return _menu(text, [(f"rate:1:{turn_id.hex}", "👍"), (f"rate:-1:{turn_id.hex}", "👎")])


def read_consent(menu_id: str) -> Answer | None:
    """What was chosen, if it was an answer to the question for consent."""
    found = _CONSENT.fullmatch(menu_id)
    return _ANSWERS[found["answer"]] if found else None


def read_rating(menu_id: str) -> tuple[UUID, int] | None:
    """The turn, and 1 or -1."""
    found = _RATING.fullmatch(menu_id)
    return (UUID(hex=found["turn"]), int(found["value"])) if found else None


def _menu(text: str, choices: Sequence[tuple[str, str]]) -> Menu | None:
    """What is longer than a head goes on in items that are text."""
    head, *rest = split(text, limit=_HEAD_BYTES, measure=Measure.UTF8)
    going_on = split("\n".join(rest), limit=_TEXT_BYTES, measure=Measure.UTF8) if rest else []
    if len(going_on) + len(choices) > _MAX_ITEMS:
        return None
    items: list[dict[str, Any]] = [{"type": "text", "text": {"content": part}} for part in going_on]
    items += [{"type": "click", "click": {"id": name, "content": words}} for name, words in choices]
    return {"head_content": head, "list": items}
