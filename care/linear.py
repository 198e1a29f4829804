"""Trained linear readings of a text in pure Python: what the detector and the guard's judge have in common.

A text is read as hashed n-grams of characters, as n-grams once more with each word of a known meaning written as one
sign (`care/lexicon/meanings.toml`), and as the pairs of meanings that occur together. What was learnt of one word
thus holds for its kin. A reading costs about 10 µs a character.
"""

import math
import re
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import combinations
from typing import Final

from care import lexicon

BUCKETS: Final = 1 << 18
LONGEST_AS_WRITTEN: Final = 3  # characters of an n-gram
LONGEST_BY_MEANING: Final = 4  # signs
MAX_LEVEL: Final = 127  # of a weight, in steps
_MAGIC: Final = b"care2"
_FIRST_SIGN: Final = 0xE000  # the private use area: no text that people write
_LAST_SIGN: Final = _FIRST_SIGN + 0xFF
SIGNS: Final = frozenset(map(chr, range(_FIRST_SIGN, _LAST_SIGN + 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Several logistic regressions over the same features; `weights` holds `BUCKETS` signed bytes a head."""

    thresholds: tuple[float, ...]  # [heads]
    biases: tuple[float, ...]  # [heads]
    steps: tuple[float, ...]  # [heads], what one level of a weight is worth
    weights: "tuple[array[int], ...]"  # [heads][buckets]

    def chance(self, head: int, present: Sequence[int]) -> float:
        """The probability under one head, of a text with these features."""
        levels = self.weights[head]
        total = sum([levels[bucket] for bucket in present])
        return _sigmoid(self.biases[head] + self.steps[head] * total / math.sqrt(len(present) or 1))


def features(text: str) -> list[int]:
    """The buckets that are present in a text."""
    signs = by_meaning(text)
    present = set(_ngrams(f"^{text.strip()}$", b"r", LONGEST_AS_WRITTEN))
    present.update(_ngrams(f"^{signs.strip()}$", b"m", LONGEST_BY_MEANING))
    meant = sorted(SIGNS.intersection(signs))
    present.update(zlib.crc32(f"p{one}{other}".encode()) % BUCKETS for one, other in combinations(meant, 2))
    return list(present)


def by_meaning(text: str) -> str:
    """The text with each word of a known meaning as one sign of the private use area."""
    return meanings().sub(lambda found: chr(_FIRST_SIGN + (found.lastindex or 1) - 1), text)


def pack(heads: Heads) -> bytes:
    """The file format: magic; number of heads; thresholds, biases, steps; a signed byte a weight; compressed."""
    numbers = array("f", [*heads.thresholds, *heads.biases, *heads.steps])
    body = b"".join(levels.tobytes() for levels in heads.weights)
    return _MAGIC + zlib.compress(bytes([len(heads.weights)]) + numbers.tobytes() + body, 9)


def unpack(packed: bytes) -> Heads:
    """Read what `pack` wrote; ValueError where the file is not one of ours."""
    if not packed.startswith(_MAGIC):
        raise ValueError("not a file of linear readings")
    content = zlib.decompress(packed[len(_MAGIC) :])
    count, content = content[0], content[1:]
    numbers, body = array("f", content[: 12 * count]), content[12 * count :]
    if len(body) != count * BUCKETS:
        raise ValueError("a file of linear readings of another size")
    return Heads(
        thresholds=tuple(numbers[:count]),
        biases=tuple(numbers[count : 2 * count]),
        steps=tuple(numbers[2 * count :]),
        weights=tuple(array("b", body[start : start + BUCKETS]) for start in range(0, len(body), BUCKETS)),
    )


@cache
def shipped(name: str) -> Heads:
    """`care/lexicon/<name>.bin`, read once per process."""
    return unpack((files("care") / "lexicon" / f"{name}.bin").read_bytes())


@cache
def meanings() -> re.Pattern[str]:
    """Every known meaning; the number of the group that fits is the meaning."""
    listed: dict[str, str] = lexicon.load("meanings")["meaning"]
    return re.compile("|".join(f"({words})" for words in listed.values()))


def _ngrams(framed: str, kind: bytes, longest: int) -> Iterable[int]:
    written = framed.encode("utf-16-le", "surrogatepass")
    seed = zlib.crc32(kind)
    for size in range(2, 2 * longest + 1, 2):
        for start in range(0, len(written) - size + 1, 2):
            yield zlib.crc32(written[start : start + size], seed) % BUCKETS


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))
