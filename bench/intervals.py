"""Intervals of medians, for figures of rounds that alternate."""

from collections.abc import Sequence
from math import comb


def median_interval(values: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float]:
    """Two of the sorted values between which the true median lies with at least `confidence`, by the sign test.

    With fewer than six values there is no such pair for 0.95: the outermost are returned.
    """
    ordered, count = sorted(values), len(values)
    left_out, outside = 0, 0.0
    for below in range((count - 1) // 2):
        outside += comb(count, below) / 2**count
        if 2 * outside > 1 - confidence:
            break
        left_out = below + 1
    first = max(0, left_out - 1) if left_out else 0
    return ordered[first], ordered[count - 1 - first]
