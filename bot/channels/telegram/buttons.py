"""Buttons under our messages and their callback data: at most 64 bytes, never anybody's words."""

import re
from uuid import UUID

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from care.age import AgeBand
from care.disclosure import Answer
from care.texts import Texts

_RATING = re.compile(r"rate:(?P<value>-?1):(?P<turn>[0-9a-f]{32})")
_ANSWERS = {
    "adult": Answer(agrees=True, band=AgeBand.ADULT),
    "minor": Answer(agrees=True, band=AgeBand.MINOR),
    "child": Answer(band=AgeBand.CHILD),
    "decline": Answer(agrees=False),
}
_CONSENT = re.compile(rf"consent:(?P<answer>{'|'.join(_ANSWERS)})")


def rating(turn_id: UUID) -> InlineKeyboardMarkup:
    """Under a reply."""
    return InlineKeyboardMarkup(
        [
            [
                InlineKeyboardButton("👍", callback_data=f"rate:1:{turn_id.hex}"),
                InlineKeyboardButton("👎", callback_data=f"rate:-1:{turn_id.hex}"),
            ]
        ]
    )


def read_rating(data: str) -> tuple[UUID, int] | None:
    """The turn, and 1 or -1."""
    found = _RATING.fullmatch(data)
    return (UUID(hex=found["turn"]), int(found["value"])) if found else None


def consent(texts: Texts) -> InlineKeyboardMarkup:
    """Under the question for consent."""
    return InlineKeyboardMarkup(
        [
            [InlineKeyboardButton(texts.say(f"disclosure_button_{name}"), callback_data=f"consent:{name}")]
            for name in _ANSWERS
        ]
    )


def read_consent(data: str) -> Answer | None:
    """What was answered to the question."""
    found = _CONSENT.fullmatch(data)
    return _ANSWERS[found["answer"]] if found else None
