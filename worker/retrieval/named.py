"""People and things that a reply may only name if the person did: a reply to somebody else must not bring its own.

`named.txt` has a group of words a line; after the bar stand words that allow the group's as well.
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

_NO_PRONOUN = re.compile("其他|他人|吉他|利他")
_FILE = Path(__file__).parent / "named.txt"


class Group(NamedTuple):
    """Words of one meaning, and words whose mention lets a reply use them."""

    words: tuple[str, ...]
    allowed_by: tuple[str, ...]


def named(text: str) -> frozenset[int]:
    """The groups that a reply names."""
    plain = _NO_PRONOUN.sub("", text)
    return frozenset(number for number, group in enumerate(groups()) if _has_one(plain, group.words))


def allowed(text: str) -> frozenset[int]:
    """The groups that may be named to somebody who said this."""
    return frozenset(number for number, group in enumerate(groups()) if _has_one(text, group.allowed_by))


@cache
def groups() -> tuple[Group, ...]:
    """As the file has them."""
    lines = _FILE.read_text(encoding="utf-8").splitlines()
    sides = [line.partition("|") for line in lines if line.strip()]
    return tuple(Group(tuple(left.split()), (*left.split(), *right.split())) for left, _, right in sides)


def _has_one(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text for word in words)
