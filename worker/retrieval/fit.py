"""Compares a reply's words with a conversation's: what it takes up, what it brings along, what was said already."""

from collections.abc import Sequence
from dataclasses import dataclass

from worker.engine.port import Exchange
from worker.retrieval.named import allowed, named
from worker.retrieval.rarity import RUN, Rarity, pairs, runs

_TELLING = 4.0
"""A rarer pair says what a text is about."""
_FOREIGN = 5.5
"""A pair that is rarer and that nobody said is somebody else's matter."""
_MOST = 9.0
_TAKEN_UP_FULLY = 20.0
_FOREIGN_FULLY = 20.0
_OF_EARLIER = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What each comparison counts for, in cosines."""

    takes_up: float = 0.6
    foreign: float = 0.35
    unsaid_name: float = 0.5
    said_name: float = 0.1
    repetition: float = 1.0


class WordsSoFar:
    """What was said so far, read once for all candidates."""

    def __init__(self, history: Sequence[Exchange], text: str, rarity: Rarity, counts: Counts | None = None) -> None:
        said = "。".join([*(past.text for past in history), text])
        self._rarity = rarity
        self._counts = counts or Counts()
        self._last = set(pairs(text))
        self._all = set(pairs(said))
        self._allowed = allowed(said)
        self._called_now = allowed(text)
        self._replied = {run for past in history for run in runs(past.reply, RUN)}

    def fit(self, reply: str) -> float:
        """Higher is better; 0 for a reply that shares nothing and brings nothing."""
        counts = self._counts
        names = named(reply)
        used = set(pairs(reply))
        return (
            counts.takes_up * min(self._taken_up(used) / _TAKEN_UP_FULLY, 1)
            - counts.foreign * min(self._brought(used) / _FOREIGN_FULLY, 2)
            - counts.unsaid_name * len(names - self._allowed)
            + counts.said_name * min(len(names & self._called_now), 2)
            - counts.repetition * bool(self._replied & runs(reply, RUN))
        )

    def takes_up(self, reply: str) -> float:
        """How much of the last message's telling words it uses, 0 to 1."""
        used = set(pairs(reply)) & self._last
        return min(sum(self._telling(pair) for pair in used) / _TAKEN_UP_FULLY, 1)

    def _taken_up(self, used: set[str]) -> float:
        now = sum(self._telling(pair) for pair in used & self._last)
        return now + _OF_EARLIER * sum(self._telling(pair) for pair in used & self._all - self._last)

    def _telling(self, pair: str) -> float:
        rarity = self._rarity.of(pair)
        return min(rarity, _MOST) if rarity > _TELLING else 0

    def _brought(self, used: set[str]) -> float:
        return sum(max(0, min(self._rarity.of(pair), _MOST) - _FOREIGN) for pair in used - self._all)
