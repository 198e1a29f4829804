"""General replies of our own, where no published one convinces: they take up what was said and presume nothing else.

`general.toml` has kinds of messages, in the order in which they are tried, and the sentences for each.
"""

import re
import tomllib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from worker.engine.port import Exchange
from worker.retrieval.quoting import clause, person
from worker.retrieval.rarity import RUN, runs

_EARLIER = 4
"""Messages back that still say what a conversation is about."""
_QUOTES_IN_A_ROW = 2
"""Then it sounds like a parrot."""
_QUOTE = re.compile("“[^”]*”|「[^」]*」")
_FILE = Path(__file__).parent / "general.toml"
_HAN = re.compile("[\u3400-\u9fff]")
_LETTER = re.compile(r"[^\W\d_]")
_NONE = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKind:
    """Messages that are met in one way; the fields are those of the file."""

    name: str
    replies: tuple[str, ...]
    cue: re.Pattern[str] | None = None
    unless: re.Pattern[str] = _NONE
    always: bool = False
    earlier: bool = False
    person: bool = False
    first: bool = False
    short: int | None = None

    def meets(self, history: Sequence[Exchange], text: str) -> bool:
        """Whether it is a kind for the last message."""
        if self.short is not None and len(_HAN.findall(text)) > self.short:
            return False
        if self.first and history:
            return False
        heard = [text, *(past.text for past in history[-_EARLIER:])] if self.earlier else [text]
        return any(self._is_in(one) for one in heard)

    def quoted(self, text: str) -> str | None:
        """What its replies may repeat of the message: what makes it of this kind, if that stands in it."""
        return clause(text, self.cue if self.cue is not None and self._is_in(text) else None)

    def _is_in(self, text: str) -> bool:
        if self.person:
            return person(text) is not None
        return self.cue is None or (self.cue.search(text) is not None and self.unless.search(text) is None)


class GeneralReplies:
    """Texts are in simplified characters; where replies begin depends on the conversation's first message."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def possible(self, history: Sequence[Exchange], text: str) -> Iterator[str]:
        """The best first; what would repeat something said in `history` last, the longest ago first."""
        said = {run for past in history for run in runs(past.reply, RUN)}
        filled = list(self._filled(history, text))
        yield from (one for one in filled if not said & runs(without_quotes(one), RUN))
        yield from sorted(filled, key=lambda one: _last_said(one, history))

    @property
    def last_resort(self) -> str:
        """Can be said after anything."""
        return _named("silent").replies[0]

    def _filled(self, history: Sequence[Exchange], text: str) -> Iterator[str]:
        who = person(text)
        turn = zlib.crc32(f"{self._seed} {history[0].text if history else text}".encode()) + len(history)
        last = history[-_QUOTES_IN_A_ROW:]
        has_quoted_enough = len(last) == _QUOTES_IN_A_ROW and all(_QUOTE.search(past.reply) for past in last)
        for kind in kinds_of(history, text):
            slots = {"quote": kind.quoted(text), "person": who}
            start = turn % len(kind.replies)
            turned = kind.replies[start:] + kind.replies[:start]
            for reply in sorted(turned, key=lambda one: ("“" in one) is has_quoted_enough):
                if all(slots[name] for name in re.findall(r"\{(\w+)\}", reply)):
                    yield reply.format(**slots)


def _last_said(reply: str, history: Sequence[Exchange]) -> int:
    words = without_quotes(reply)
    return max((number for number, past in enumerate(history) if without_quotes(past.reply) == words), default=-1)


def has_its_own(history: Sequence[Exchange], text: str) -> bool:
    """Whether such a message is met with general words whatever was published."""
    return kinds_of(history, text)[0].always


def is_about(name: str, history: Sequence[Exchange], text: str) -> bool:
    """Whether the conversation has what the kind of that name is about."""
    return _named(name).meets(history, text)


def _named(name: str) -> MessageKind:
    return next(kind for kind in kinds() if kind.name == name)


def without_quotes(reply: str) -> str:
    """Its own words."""
    return _QUOTE.sub("“”", reply)


def kinds_of(history: Sequence[Exchange], text: str) -> list[MessageKind]:
    """Never empty."""
    if not _HAN.search(text):
        wanted = "not_chinese" if _LETTER.search(text) else "silent"
        own = [kind for kind in kinds() if kind.meets(history, text) and kind.cue is not None]
        return [*own, _named(wanted)]
    return [kind for kind in kinds() if kind.meets(history, text)]


@cache
def kinds() -> tuple[MessageKind, ...]:
    """As the file has them."""
    return tuple(_kind(entry) for entry in tomllib.loads(_FILE.read_text(encoding="utf-8"))["kind"])


def _kind(entry: dict[str, Any]) -> MessageKind:
    patterns = {name: re.compile(entry[name]) for name in ("cue", "unless") if name in entry}
    return MessageKind(**(entry | patterns | {"replies": tuple(entry["replies"])}))
