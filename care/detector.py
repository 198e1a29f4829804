"""The second detector: a trained reading of what a person writes, beside the rules and allowed to raise to any tier.

It sees the same normalised and masked text as the rules. `training/screening.py` trains it; its card is
`care/lexicon/detector.md`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Protocol

from care.linear import Heads, features, meanings, shipped

ROUTES: Final = ("self", "third_party", "harm_to_others", "abuse", "psychosis", "eating_disorder", "past")
TIERS: Final = 3
HEADS: Final = TIERS + len(ROUTES)
SHORTEST: Final = 4  # characters; of less nothing can be read without rules and context
MAX_PIECE: Final = 24  # characters: a text is read sentence by sentence, short ones together; the worst counts
MAX_WINDOW: Final = 60  # characters of a sentence that are read together
MAX_PIECES: Final = 200  # of one message; in a longer one, the first pieces that mean anything. Rules read all of it
LIKELY: Final = 0.4  # chance of an active wish, of somebody in danger
_BREAK: Final = re.compile(r"(?<=[。!?;\n])")
_OVERLAP: Final = 20  # characters
_STOP: Final = re.compile(r"[。;\n]+")
_SURROUNDINGS: Final = " ,.!?~…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What the detector makes of a text: a tier from 0 to 3, the likeliest route, the chance of each tier or more."""

    tier: int
    route: str
    chances: tuple[float, float, float]


class Detector(Protocol):
    """Anything that reads a normalised, masked text."""

    def read(self, text: str) -> Detection: ...


@dataclass(frozen=True, slots=True)
class LinearDetector:
    """The first heads are for tiers 1 to 3 or more, the others for `ROUTES`."""

    heads: Heads

    def read(self, text: str) -> Detection:
        return max((self._piece(piece) for piece in pieces(text)), key=_urgency, default=_CALM)

    def _piece(self, text: str) -> Detection:
        words = bare(text)
        if len(words) < SHORTEST:
            return _CALM
        present = features(words)
        chances = self.heads.chance(0, present), self.heads.chance(1, present), self.heads.chance(2, present)
        tier = _tier(chances, self.heads.thresholds)
        if not tier:
            return Detection(tier=0, route=ROUTES[0], chances=chances)
        routes = [self.heads.chance(head, present) for head in range(TIERS, HEADS)]
        return Detection(tier=tier, route=ROUTES[routes.index(max(routes))], chances=chances)


def pieces(text: str) -> Iterator[str]:
    """Cut a text at sentence ends into pieces of about `MAX_PIECE` characters."""
    taken = 0
    for piece in dict.fromkeys(_cut(text)):
        if taken == MAX_PIECES:
            return
        if len(text) <= MAX_PIECE * MAX_PIECES or meanings().search(piece):
            taken += 1
            yield piece


def bare(piece: str) -> str:
    """What is read of a piece: stops tell one source of texts from another, and nothing of danger."""
    return _STOP.sub(",", piece).strip(_SURROUNDINGS)


@cache
def shipped_detector() -> LinearDetector:
    """The detector that comes with the package."""
    return LinearDetector(shipped("detector"))


_CALM: Final = Detection(tier=0, route=ROUTES[0], chances=(0.0, 0.0, 0.0))


def _tier(chances: tuple[float, float, float], thresholds: tuple[float, ...]) -> int:
    """The highest tier whose own head is sure enough: the first head is often the last to know an unusual wording.

    Whether a wish that was found is an active one is asked of the second head less strictly: no alarm hangs on it.
    """
    tier = max((tier for tier in range(1, TIERS + 1) if chances[tier - 1] >= thresholds[tier - 1]), default=0)
    return 2 if tier == 1 and chances[1] >= LIKELY else tier


def _urgency(reading: Detection) -> tuple[int, float]:
    return (reading.tier, sum(reading.chances))


def _cut(text: str) -> Iterator[str]:
    piece = ""
    for sentence in _BREAK.split(text):
        if piece and len(piece) + len(sentence) > MAX_PIECE:
            yield piece
            piece = ""
        piece += sentence
        if len(piece) > MAX_WINDOW:
            yield from (piece[start : start + MAX_WINDOW] for start in range(0, len(piece), MAX_WINDOW - _OVERLAP))
            piece = ""
    if piece.strip():
        yield piece
