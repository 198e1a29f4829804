"""The small classifier beside the rules: a linear model over hashed character n-grams, in pure Python.

It answers one question, "does this text speak of danger to the writer's own life or body?", as a probability, and it
sees the same normalised and masked text as the rules. How it was trained, and how well it does, is in its card,
`care/lexicon/classifier.md`; `training/screening.py` writes both files.
"""

import math
import re
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Protocol

BUCKETS: Final = 1 << 17
LONGEST_NGRAM: Final = 4
MAX_LEVEL: Final = 32767  # of a weight, in steps
MAX_PIECE: Final = 160  # characters; a long text is read piece by piece, the worst piece counts
_MAGIC: Final = b"care1"
_BREAK: Final = re.compile(r"(?<=[。!?;\n])")


class Classifier(Protocol):
    """Anything that gives a normalised, masked text a probability of self-directed risk."""

    @property
    def threshold(self) -> float: ...

    def probability(self, text: str) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearClassifier:
    """Logistic regression with a signed 16-bit number a weight."""

    threshold: float
    bias: float
    step: float
    weights: "array[int]"

    def probability(self, text: str) -> float:
        return max((self._piece(piece) for piece in pieces(text)), default=0.0)

    def _piece(self, text: str) -> float:
        present = set(buckets(text))
        total = sum(self.weights[bucket] for bucket in present)
        return _sigmoid(self.bias + self.step * total / math.sqrt(len(present) or 1))


def pieces(text: str) -> Iterator[str]:
    """Cut a text at sentence ends into pieces of at most `MAX_PIECE` characters or one sentence."""
    piece = ""
    for sentence in _BREAK.split(text):
        if piece and len(piece) + len(sentence) > MAX_PIECE:
            yield piece
            piece = ""
        piece += sentence
    if piece.strip():
        yield piece


def buckets(text: str) -> Iterator[int]:
    """Hash every n-gram of one to four characters; the text's ends count as characters."""
    framed = f"^{text.strip()}$".encode("utf-16-le", "surrogatepass")
    for size in range(2, 2 * LONGEST_NGRAM + 1, 2):
        for start in range(0, len(framed) - size + 1, 2):
            yield zlib.crc32(framed[start : start + size]) % BUCKETS


def pack(classifier: LinearClassifier) -> bytes:
    """The file format: magic, threshold, bias and step as floats, a signed 16-bit number a weight; compressed."""
    head = array("f", [classifier.threshold, classifier.bias, classifier.step])
    return _MAGIC + zlib.compress(head.tobytes() + classifier.weights.tobytes(), 9)


def unpack(packed: bytes) -> LinearClassifier:
    """Read what `pack` wrote; ValueError where the file is not one of ours."""
    if not packed.startswith(_MAGIC):
        raise ValueError("not a classifier file")
    content = zlib.decompress(packed[len(_MAGIC) :])
    head, weights = array("f", content[:12]), array("h", content[12:])
    if len(weights) != BUCKETS:
        raise ValueError("a classifier file of another size")
    return LinearClassifier(threshold=head[0], bias=head[1], step=head[2], weights=weights)


@cache
def shipped() -> LinearClassifier:
    """The classifier that comes with the package, read once per process."""
    return unpack((files("care") / "lexicon" / "classifier.bin").read_bytes())


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))
