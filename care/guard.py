"""What a reply may not contain, checked while it is being written.

`judge` takes the whole text so far and says how much of it may be shown. Every pattern has a longest possible match of
`SPAN` characters, so a phrase that would be blocked has always begun within the last `SPAN` characters, which are held
back: nothing that was shown ever has to be taken back.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

from care import lexicon
from care.hotlines import Directory

SPAN: Final = 64  # characters; no pattern matches more
FOREIGN_NUMBER: Final = "foreign_number"

_SEPARATOR: Final = r"[-－—– ()（）]{0,2}"
_COUNTED: Final = r"(?!\d)(?!\s?(?:元|块|万|人|次|字|年|天|%|％))"  # five or six digits may count something
_NUMBER: Final = re.compile(rf"(?<![\d.])\d(?:{_SEPARATOR}\d){{6,17}}|(?<![\d.])\d(?:{_SEPARATOR}\d){{4,5}}{_COUNTED}")
_CALLED: Final = re.compile(
    r"(?:拨打|致电|拨通|热线|电话|求助)(?:号码)?[^\d。！？\n]{0,8}(\d[\d\-－—–]{1,17}+)(?!\s?(?:分|小时|点|个|次|遍|天|岁|年|月|元|人|周|%))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How many characters of the text may be shown, and why it must not go on, if so."""

    showable: int
    blocked: str | None

    @property
    def is_blocked(self) -> bool:
        return self.blocked is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden:
    """One pattern and the reason it stands for."""

    reason: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The checks for one operator: shipped patterns, and the numbers that may be named."""

    forbidden: tuple[Forbidden, ...]
    allowed_numbers: frozenset[str]

    def judge(self, text: str, *, is_finished: bool) -> Verdict:
        """Judge a reply as far as it is written; call again with the longer text, at last with `is_finished`.

        A finding in the tail that is still held back waits until the text has moved on: 拨打 1 may become 拨打 120.
        """
        held = len(text) if is_finished else max(0, len(text) - SPAN)
        found = min(self._findings(text), default=None)
        if found is None:
            return Verdict(showable=held, blocked=None)
        start, end, reason = found
        is_settled = is_finished or end < len(text)
        return Verdict(showable=min(start, held), blocked=reason if is_settled else None)

    def _findings(self, text: str) -> Iterable[tuple[int, int, str]]:
        for forbidden in self.forbidden:
            if found := forbidden.pattern.search(text):
                yield found.start(), found.end(), forbidden.reason
        yield from self._foreign_numbers(text)

    def _foreign_numbers(self, text: str) -> Iterable[tuple[int, int, str]]:
        for pattern, group in ((_NUMBER, 0), (_CALLED, 1)):
            for found in pattern.finditer(text):
                if _digits(found.group(group)) not in self.allowed_numbers:
                    yield found.start(), found.end(), FOREIGN_NUMBER


def guard(directory: Directory) -> Guard:
    """The shipped patterns with the numbers of one directory."""
    return Guard(forbidden=patterns(), allowed_numbers=directory.numbers())


@cache
def patterns() -> tuple[Forbidden, ...]:
    """Read and compile `care/lexicon/guard.toml`, once per process."""
    data = lexicon.load("guard")
    words: dict[str, str] = data["words"]
    return tuple(
        Forbidden(reason=rule["reason"], pattern=re.compile(lexicon.expand(rule["pattern"], words)))
        for rule in data["rule"]
    )


def _digits(number: str) -> str:
    return "".join(str(int(sign)) for sign in number if sign.isdecimal())
