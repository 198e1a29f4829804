"""What people in danger write, as somebody who listens says it back: 我撑不下去了 becomes 你说你撑不下去了.

Reflecting is most of what a supporter does, and no published one has replies to sentences like these; a judge of
replies that never saw them takes the words of danger for harm.
"""

import random
from collections.abc import Iterator
from typing import Final

from training.screening import DANGER, SEED, expand, written_lines

COUNT: Final = 1500
_OPENINGS: Final = ("你说", "你觉得", "你提到", "听你说", "我听到你说", "你刚才讲到", "听起来", "你写道", "原来")
_LENGTHS: Final = range(6, 41)  # characters
_SAYS_YOU: Final = ("你", "您", "?", "？")  # it is said to somebody already, or asked


def reflections() -> list[str]:
    """`COUNT` sentences, one of a template at most; the same each time."""
    dice = random.Random(SEED)  # noqa: S311 - a sample, not a secret
    said = list(_said_back(dice))
    dice.shuffle(said)
    return said[:COUNT]


def _said_back(dice: random.Random) -> Iterator[str]:
    for name in DANGER:
        for number, line in enumerate(written_lines(name)):
            if line.startswith("== "):
                continue
            text = dice.choice(expand(line, f"{name}:{number}")).strip("。，,.!！~… ")
            if len(text) in _LENGTHS and not any(sign in text for sign in _SAYS_YOU):
                yield dice.choice(_OPENINGS) + text.replace("我", "你")
