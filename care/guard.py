"""What a reply may not contain, checked while it is being written.

`judge` takes the whole text so far and says how much of it may be shown: the sentences that are whole, up to where a
forbidden phrase begins or may be beginning (partial matching of the end of the text), so nothing that was shown ever
has to be taken back. Beside the phrases a trained judge reads each sentence (care/judge.py).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import regex

from care import lexicon
from care.hotlines import Directory
from care.judge import BLANK, harm, sentences, warm
from care.normalise import in_mandarin

FOREIGN_NUMBER: Final = "foreign_number"

_SEPARATOR: Final = r"[-－—– ()（）]{0,2}"
_COUNTED: Final = r"(?!\d)(?!\s?(?:元|块|万|人|次|字|年|天|%|％))"  # five or six digits may count something
_DATE: Final = r"(?!(?:19|20)\d\d\s?(?:年|[-－—–~/.]\s?(?:(?:19|20)\d\d|\d{1,2}\s?[-－—–~/.]\s?\d{1,2})(?!\d)))"
_NUMBER: Final = regex.compile(
    rf"(?<![\d.]){_DATE}\d(?:{_SEPARATOR}\d){{6,17}}|(?<![\d.])\d(?:{_SEPARATOR}\d){{4,5}}{_COUNTED}"
)
_CALLED: Final = regex.compile(
    r"(?:拨打|致电|拨通|热线|电话|求助)(?:号码)?[^\d。！？\n]{0,8}(\d[\d\-－—–]{1,17}+)(?!\s?(?:分|小时|点|个|次|遍|天|岁|年|月|元|人|周|%))"
)
_NUMBERS: Final = ((_NUMBER, 0), (_CALLED, 1))
_LEAST_QUOTE: Final = 6  # characters; a shorter line may be the reply's own words as well
_Found = tuple[int, int, str]  # begin, end, reason
_QUOTED: Final = regex.compile(
    r"(?:你|您|他|她|妈妈?|爸爸?|老师|医生|朋友|自己)[^。！？\n“”\"「」]{0,10}[“\"「『]([^“”\"「」『』\n]{1,60})[”\"」』]"
    r"|(?:写|发|说)(?:：|:)?[“\"「『]([^“”\"「」『』\n]{1,60})[”\"」』]"
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
    pattern: regex.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The checks for one operator: shipped patterns, and the numbers that may be named."""

    forbidden: tuple[Forbidden, ...]
    allowed_numbers: frozenset[str]

    def judge(self, text: str, *, is_finished: bool, said: str = "", is_strict: bool = False) -> Verdict:
        """Judge a reply as far as it is written; call again with the longer text, at last with `is_finished`.

        `said` is what the person wrote: a reply may quote their lines and their numbers. `is_strict`: the person is in
        danger, or under age. A finding at the very end waits until the text has moved on: 拨打 1 may become 拨打 120.
        """
        text, said = in_mandarin(text), in_mandarin(said)
        lines = [line for line in said.splitlines() if len(line) >= _LEAST_QUOTE]
        settled = text if is_finished else text[: len(text) - _begun(text, lines)]
        own = _without(lines, settled)
        safe = len(text) if is_finished else self._safe(own, min(_last_end(own), len(settled)))
        phrase = min(self._findings(own, self.allowed_numbers | _numbers_in(said)), default=None)
        found = _earlier(phrase, next(_harms(own, is_finished=is_finished, is_strict=is_strict), None))
        if found is None:
            return Verdict(showable=safe, blocked=None)
        start, end, reason = found
        is_settled = is_finished or end < len(text)
        return Verdict(showable=min(start, safe), blocked=reason if is_settled else None)

    def _safe(self, text: str, end: int) -> int:
        """Up to where nothing forbidden can be beginning, `end` at the furthest."""
        return min(end, *self._beginnings(text)) if end else 0  # in its first sentence nothing of a reply is shown

    def _findings(self, text: str, allowed_numbers: frozenset[str]) -> Iterable[tuple[int, int, str]]:
        for forbidden in self.forbidden:
            if found := forbidden.pattern.search(text):
                yield found.start(), found.end(), forbidden.reason
        for pattern, group in _NUMBERS:
            for found in pattern.finditer(text):
                if _digits(found.group(group)) not in allowed_numbers:
                    yield found.start(), found.end(), FOREIGN_NUMBER

    def _beginnings(self, text: str) -> Iterable[int]:
        """Where the end of the text may be the beginning of something forbidden."""
        for pattern in (*(forbidden.pattern for forbidden in self.forbidden), _NUMBER, _CALLED):
            for found in pattern.finditer(text, partial=True):
                if found.partial:
                    yield found.start()


def guard(directory: Directory) -> Guard:
    """The shipped patterns with the numbers of one directory; the judge is read, too: no reply waits for it."""
    warm()
    return Guard(forbidden=patterns(), allowed_numbers=directory.numbers())


def without_quotes(text: str) -> str:
    """The text with what it quotes somebody with blanked out, as the judge reads it."""
    return _QUOTED.sub(_blank_quote, text)


@cache
def patterns() -> tuple[Forbidden, ...]:
    """Read and compile `care/lexicon/guard.toml`, once per process."""
    data = lexicon.load("guard")
    words: dict[str, str] = data["words"]
    return tuple(
        Forbidden(reason=rule["reason"], pattern=regex.compile(lexicon.expand(rule["pattern"], words)))
        for rule in data["rule"]
    )


def _earlier(phrase: _Found | None, sentence: _Found | None) -> _Found | None:
    """Which of both stops the reply first; a phrase says better than the judge why."""
    if phrase is None or sentence is None:
        return phrase or sentence
    if sentence[0] <= phrase[0] < sentence[1]:
        return sentence[0], phrase[1], phrase[2]
    return min(phrase, sentence)


def _harms(text: str, *, is_finished: bool, is_strict: bool) -> Iterator[_Found]:
    """Whole sentences that the trained judge would not have said to this person."""
    for start, end in sentences(text):
        is_whole = is_finished or end < len(text)
        if is_whole and (reason := harm(text[start:end], is_strict=is_strict)) is not None:
            yield start, end, reason


def _last_end(text: str) -> int:
    """Where the sentence that is being written begins."""
    return max((start for start, _ in sentences(text)), default=len(text))


def _begun(text: str, lines: list[str]) -> int:
    """How many characters at the end of the text may be the beginning of one of the person's lines."""
    return max((size for line in lines for size in range(len(line)) if text.endswith(line[:size])), default=0)


def _without(lines: list[str], text: str) -> str:
    """The text with the person's own lines blanked out."""
    for line in lines:
        text = text.replace(line, BLANK * len(line))
    return without_quotes(text)


def _blank_quote(found: regex.Match[str]) -> str:
    """What somebody is quoted with is not said by the reply, whatever it is; numbers stay."""
    whole, quote = found.group(), found.group(1) or found.group(2)
    return whole if any(sign.isdecimal() for sign in quote) else whole.replace(quote, BLANK * len(quote))


def _numbers_in(said: str) -> frozenset[str]:
    return frozenset(_digits(found.group(group)) for pattern, group in _NUMBERS for found in pattern.finditer(said))


def _digits(number: str) -> str:
    return "".join(str(int(sign)) for sign in number if sign.isdecimal())
