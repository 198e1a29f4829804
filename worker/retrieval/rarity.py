"""How telling a pair of characters is: the logarithm of how seldom it stands in the collection, in buckets."""

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

BUCKETS = 1 << 16
RUN = 6
"""Characters in a row that make a repetition of an earlier reply."""
_STEP = 16
"""Of a logarithm of one, in the file's bytes."""
_HAN = re.compile("[\u3400-\u9fff]+")


def pairs(text: str) -> Iterator[str]:
    """Neighbouring Han characters."""
    for part in _HAN.findall(text):
        for start in range(len(part) - 1):
            yield part[start : start + 2]


def runs(text: str, size: int) -> set[str]:
    """Han characters in a row."""
    return {part[start : start + size] for part in _HAN.findall(text) for start in range(len(part) - size + 1)}


def counted(texts: Iterable[str]) -> Tensor:
    """The table for `rarity`, [buckets] of bytes."""
    counts: Counter[int] = Counter()
    total = 0
    for text in texts:
        total += 1
        counts.update({bucket(pair) for pair in pairs(text)})
    seen = torch.ones(BUCKETS)
    for place, count in counts.items():
        seen[place] = count
    return ((total / seen).log() * _STEP).round().clamp(0, 255).to(torch.uint8)


def bucket(pair: str) -> int:
    """Its place in the table."""
    return zlib.crc32(pair.encode()) % BUCKETS


class Rarity:
    """Reads the table."""

    def __init__(self, table: Tensor) -> None:
        self._levels = table.tolist()

    def of(self, pair: str) -> float:
        """The logarithm."""
        level: int = self._levels[bucket(pair)]
        return level / _STEP
