"""BLEU, ROUGE and distinct-n over characters, the unit that needs no word segmenter; for corpora, not sentences."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

Pair = tuple[str, str]
"""A written reply and the one it is compared with."""

_ORDERS = (1, 2, 3, 4)


def scores(pairs: Sequence[Pair]) -> dict[str, float]:
    """BLEU-1..4 (Papineni et al. 2002), ROUGE-1/2/L as F1 (Lin 2004), distinct-1/2 (Li et al. 2016)."""
    written = [pair[0] for pair in pairs]
    return {
        **{f"bleu_{order}": bleu(pairs, order) for order in _ORDERS},
        "rouge_1": _mean(_overlap(one, other, 1) for one, other in pairs),
        "rouge_2": _mean(_overlap(one, other, 2) for one, other in pairs),
        "rouge_l": _mean(_subsequence(one, other) for one, other in pairs),
        "distinct_1": distinct(written, 1),
        "distinct_2": distinct(written, 2),
    }


def bleu(pairs: Sequence[Pair], order: int) -> float:
    """The geometric mean of the clipped precisions up to `order`, with the brevity penalty, over the whole corpus."""
    logs = []
    for size in range(1, order + 1):
        hits = sum((_grams(one, size) & _grams(other, size)).total() for one, other in pairs)
        possible = sum(_grams(one, size).total() for one, _ in pairs)
        if not hits:
            return 0.0
        logs.append(math.log(hits / possible))
    written, wanted = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    brevity = min(0.0, 1 - wanted / written)
    return math.exp(brevity + sum(logs) / order)


def distinct(texts: Iterable[str], size: int) -> float:
    """Different n-grams among all n-grams."""
    found: Counter[str] = sum((_grams(text, size) for text in texts), Counter())
    return len(found) / found.total() if found else 0.0


def _grams(text: str, size: int) -> Counter[str]:
    return Counter(text[start : start + size] for start in range(len(text) - size + 1))


def _overlap(one: str, other: str, size: int) -> float:
    first, second = _grams(one, size), _grams(other, size)
    return _f1((first & second).total(), first.total(), second.total())


def _subsequence(one: str, other: str) -> float:
    """From the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for mark in one:
        above = row
        row = [0]
        for place, (wanted, (corner, up)) in enumerate(zip(other, pairwise(above), strict=True)):
            row.append(corner + 1 if mark == wanted else max(up, row[place]))
    return _f1(row[-1], len(one), len(other))


def _f1(hits: int, written: int, wanted: int) -> float:
    return 2 * hits / (written + wanted) if written + wanted else 0.0


def _mean(numbers: Iterable[float]) -> float:
    found = list(numbers)
    return sum(found) / len(found) if found else 0.0
