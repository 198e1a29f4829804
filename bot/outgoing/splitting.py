"""Cuts a text into messages that a platform takes: at a paragraph, else a sentence, else a space, never inside a word.

Joining the parts gives the text, but for the white space at the cuts.
"""

import re
from collections.abc import Iterator
from itertools import chain

_LEAST_SHARE = 0.3
"""A part is never made shorter than this for the sake of a finer cut."""

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
_JOINED = re.compile("[\u200d\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\u0300-\u036f]")
"""Characters that belong to the one before: joiners, variation selectors, skin tones, accents."""


def units(text: str) -> int:
    """Its length in UTF-16 code units, as platforms count it."""
    return len(text) + sum(character > "\uffff" for character in text)


def split(text: str, limit: int) -> list[str]:
    """The messages that the text becomes; one, unless it is longer than `limit` UTF-16 code units."""
    parts = []
    rest = text
    while (longest := _prefix(rest, limit)) < len(rest):
        cut = _best_cut(rest, longest)
        if part := rest[:cut].rstrip():
            parts.append(part)
        rest = rest[cut:].lstrip()
    return [*parts, rest] if rest or not parts else parts


def _prefix(text: str, limit: int) -> int:
    """How many characters have at most `limit` code units."""
    count = 0
    for index, character in enumerate(text):
        count += 2 if character > "\uffff" else 1
        if count > limit:
            return index
    return len(text)


def _best_cut(text: str, longest: int) -> int:
    least = max(1, int(longest * _LEAST_SHARE))
    inside = {
        position
        for match in _UNBREAKABLE.finditer(text, 0, 2 * longest)
        for position in range(match.start() + 1, match.end())
    }
    cuts = chain(_good_cuts(text, least, longest), _any_cuts(text, longest))
    return next((cut for cut in cuts if cut not in inside), longest)


def _good_cuts(text: str, least: int, longest: int) -> Iterator[int]:
    for pattern in _CUTS:
        ends = [match.end() for match in pattern.finditer(text, 0, longest)]
        yield from (end for end in reversed(ends) if end >= least)


def _any_cuts(text: str, longest: int) -> Iterator[int]:
    """Between any two characters that do not belong together."""
    for cut in range(longest, 1, -1):
        if not _JOINED.match(text, cut) and text[cut - 1] != "\u200d":
            yield cut
