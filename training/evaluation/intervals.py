"""How sure a share or a mean is: 95 % intervals."""

import math
from collections.abc import Sequence
from random import Random
from statistics import fmean
from typing import NamedTuple

_Z = 1.959964
_DRAWS = 2000
_SEED = 20261129


class Interval(NamedTuple):
    """A figure and its 95 % interval; `items` is of how many it is made."""

    value: float
    low: float
    high: float
    items: int

    def as_json(self) -> dict[str, float]:
        """By name."""
        return self._asdict()


def wilson(hits: int, count: int) -> Interval:
    """Of a share (Wilson 1927); everything from 0 to 1 where nothing was counted."""
    if not count:
        return Interval(0.0, 0.0, 1.0, 0)
    share = hits / count
    centre = share + _Z**2 / (2 * count)
    spread = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return Interval(share, max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale), count)


def bootstrap(numbers: Sequence[float]) -> Interval:
    """Of a mean, by percentiles of resampled means (Efron 1979). Items must not depend on each other."""
    if not numbers:
        return Interval(0.0, 0.0, 0.0, 0)
    chance = Random(_SEED)  # noqa: S311 - a resampling, not a secret
    means = sorted(fmean(chance.choices(numbers, k=len(numbers))) for _ in range(_DRAWS))
    return Interval(fmean(numbers), means[round(0.025 * _DRAWS)], means[round(0.975 * _DRAWS) - 1], len(numbers))
