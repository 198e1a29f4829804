"""Sentences with words around them that change nothing, so that a detector learns not to read these words.

Calm texts of clients are full of them and written sentences of danger have few; without this, 嗯 before a sentence
would speak against danger.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from care.normalise import normalise

if TYPE_CHECKING:
    from training.screening import Example

_FILE: Final = "care/fillers.txt"
_SELF: Final = "我"
_SHARE: Final = 0.25
"""Of a sentence's weight that each of its two variants gets."""


def varied(example: "Example") -> Iterator["Example"]:
    """The example itself and its text twice among fillers, which share its weight; the same for the same group."""
    before, after = fillers()
    dice = random.Random(example.group)  # noqa: S311 - a sample, not a secret
    yield replace(example, weight=example.weight * (1 - 2 * _SHARE))
    bare = example.text.rstrip("。！!？?～~…")
    opened = _joined(dice.choice(before), example.text)
    closed = _joined(dice.choice((*before, "")), bare) + dice.choice(after)
    for text in (opened, closed):
        yield replace(example, text=normalise(text), weight=example.weight * _SHARE)


def _joined(before: str, sentence: str) -> str:
    return before + (sentence.removeprefix(_SELF) if before.startswith(_SELF) else sentence)


@cache
def fillers() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What may stand before a sentence, and after it."""
    found: dict[str, list[str]] = {}
    for line in (files("training") / _FILE).read_text("utf-8").splitlines():
        if line.startswith("== "):
            part = found.setdefault(line[3:], [])
        elif line and not line.startswith("#"):
            part.append(line)
    return tuple(found["before"]), tuple(found["after"])
