"""Whether replies answer what was said, and whether they repeat what they said before; in characters, no dictionary."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

_HAN = re.compile(r"[\u3400-\u9fff]+")
_EMPTY_FILE = Path(__file__).parent / "empty_words.txt"
_RUN = 6
_GRAM = 4


def content(text: str) -> set[str]:
    """The pairs of neighbouring characters that carry what a message is about.

    Pairs with a function word's character carry nothing, nor do pairs that stand in more than one of forty published
    replies (of SmileChat, CC0), except names of what people come with, such as 工作 or 父母.
    """
    characters, pairs = _empty()
    return {
        pair for pair in _pairs(text) if pair not in pairs and pair[0] not in characters and pair[1] not in characters
    }


class Replied(NamedTuple):
    """What was said, what was answered, and the supporter's replies before it."""

    text: str
    reply: str
    earlier: Sequence[str]


def shares(replied: Sequence[Replied]) -> dict[str, float]:
    """Related replies (of those to messages about something), replies that repeat an earlier one, and repetition."""
    related = [found for one in replied if (found := is_related(one.text, one.reply)) is not None]
    count = max(1, len(replied))
    return {
        "related": sum(related) / max(1, len(related)),
        "repeats_an_earlier_reply": sum(repeats_earlier(one.reply, one.earlier) for one in replied) / count,
        "repeated_within_a_reply": sum(repeated_share(one.reply) for one in replied) / count,
    }


def is_related(text: str, reply: str) -> bool | None:
    """Whether the reply takes up something that the message is about; None where the message is about nothing."""
    said = content(text)
    return bool(said & set(_pairs(reply))) if said else None


def repeats_earlier(reply: str, earlier: Sequence[str]) -> bool:
    """Whether six characters in a row stood in an earlier reply of the same conversation."""
    seen = {run for one in earlier for run in _grams(one, _RUN)}
    return any(run in seen for run in _grams(reply, _RUN))


def repeated_share(reply: str) -> float:
    """The share of a reply's runs of four characters that stood in it before."""
    grams = Counter(_grams(reply, _GRAM))
    return (grams.total() - len(grams)) / max(1, grams.total())


def _pairs(text: str) -> Iterator[str]:
    return _grams(text, 2)


def _grams(text: str, size: int) -> Iterator[str]:
    """Within runs of Chinese characters: what punctuation parts is not one phrase."""
    for run in _HAN.findall(text):
        for start in range(len(run) - size + 1):
            yield run[start : start + size]


@cache
def _empty() -> tuple[frozenset[str], frozenset[str]]:
    words = _EMPTY_FILE.read_text(encoding="utf-8").split()
    return frozenset(word for word in words if len(word) == 1), frozenset(word for word in words if len(word) > 1)
