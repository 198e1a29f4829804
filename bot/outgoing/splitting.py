"""Cuts a text into messages that a platform takes: at a paragraph, else a sentence, else a space, never inside a word.

Joining the parts gives the text, but for the white space at the cuts. A cut never falls inside a grapheme (UAX #29: an
emoji with its joiners, a letter with its accents) unless one alone is longer than a message.
"""

import re
from collections.abc import Iterator
from itertools import chain

import regex

from bot.outgoing.measure import Measure

__all__ = ["Measure", "split", "units"]

_LEAST_SHARE = 0.3
"""Shortest part that a better cut may leave, as a share of the longest."""

_CUTS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"[。！？!?…]+[”’」』）)\"']*|\.(?=\s)"),
    re.compile(r"[；;，,、：:]+(?!\d)"),
    re.compile(r"\s+"),
)
"""Best first; a cut lies behind the match."""

_UNBREAKABLE = re.compile(
    r"https?://[^\s\u3000-\u303f\uff00-\uffef\u4e00-\u9fff]+"  # links
    r"|\+?\d[\d ().\-–—]*\d"  # phone numbers, however they are written
    r"|[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9.-]+"  # addresses
    r"|[^\W\d_\u3400-\u9fff]+",  # words of alphabets
)
_GRAPHEME = regex.compile(r"\X")
_LOOK_BACK = 256
"""Characters before a cut that are read to tell graphemes apart; a longer grapheme is cut."""


def units(text: str) -> int:
    """Its length in UTF-16 code units."""
    return Measure.UTF16.of(text)


def split(text: str, limit: int, measure: Measure = Measure.UTF16) -> list[str]:
    """The messages that the text becomes; one, unless it is longer than `limit`."""
    part, rest = first_part(text, limit, measure)
    parts = [part]
    while rest:
        part, rest = first_part(rest, limit, measure)
        parts.append(part)
    return parts


def first_part(text: str, limit: int, measure: Measure = Measure.UTF16) -> tuple[str, str]:
    """The first message that the text becomes, and what is left of it; nothing if it fits."""
    while (longest := _prefix(text, limit, measure)) < len(text):
        cut = _best_cut(text, longest)
        part, text = text[:cut].rstrip(), text[cut:].lstrip()
        if part:
            return part, text
    return text, ""


def _prefix(text: str, limit: int, measure: Measure) -> int:
    """How many characters fit into `limit`; one at least, or nothing would ever be said."""
    if len(text) * 4 <= limit or measure.of(text) <= limit:
        return len(text)
    length = 0
    for index, character in enumerate(text):
        length += measure.of(character)
        if length > limit:
            return max(index, 1)
    return len(text)


def _best_cut(text: str, longest: int) -> int:
    least = max(1, int(longest * _LEAST_SHARE))
    inside = {
        position
        for match in _UNBREAKABLE.finditer(text, 0, 2 * longest)
        for position in range(match.start() + 1, match.end())
    }
    cuts = chain(_good_cuts(text, least, longest), range(longest, 0, -1))
    allowed = (cut for cut in cuts if cut not in inside and not _parts_grapheme(text, cut))
    if (cut := next(allowed, None)) is not None:
        return cut
    return next((cut for cut in range(longest, 0, -1) if not _parts_grapheme(text, cut)), longest)


def _good_cuts(text: str, least: int, longest: int) -> Iterator[int]:
    for pattern in _CUTS:
        ends = [match.end() for match in pattern.finditer(text, 0, longest)]
        yield from (end for end in reversed(ends) if end >= least)


def _parts_grapheme(text: str, cut: int) -> bool:
    """Whether a cut there falls inside a grapheme."""
    before = _GRAPHEME.finditer(text, max(0, cut - _LOOK_BACK), cut + 1)
    return any(match.start() < cut < match.end() for match in before)
