"""To be with somebody: with one who lives it is a visit, with one who died it is a wish to die.

The words are the same (想去陪她), and who is meant was often said in an earlier message.
"""

import re
from dataclasses import dataclass
from functools import cache

from care import lexicon
from care.rules import rulebook


def joins_the_dead(plain: str, before: str = "") -> bool:
    """Whether a normalised text wishes to be with somebody who was last said to have died, there or before."""
    return _last_said(plain, before) > 0


def joins_the_living(plain: str, before: str = "") -> bool:
    """Whether a normalised text wishes to be with somebody who was last said to be ill, at home, or to be visited."""
    return _last_said(plain, before) < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    wish: re.Pattern[str]
    dead: re.Pattern[str]
    living: re.Pattern[str]
    unless: re.Pattern[str]


@cache
def _words() -> _Words:
    data = lexicon.load("risk")
    return _Words(**{name: re.compile(lexicon.expand(text, data["words"])) for name, text in data["joining"].items()})


def _last_said(plain: str, before: str) -> int:
    """1 of the dead, -1 of the living, 0 without the wish or where nothing tells."""
    words = _words()
    own = rulebook().without_stories(plain)
    if words.wish.search(own) is None or words.unless.search(own):
        return 0
    told = f"{before},{own}"
    dead, living = (
        max((found.end() for found in kind.finditer(told)), default=0) for kind in (words.dead, words.living)
    )
    return (dead > living) - (living > dead)
