"""A collection of published replies on disk: vectors, places and compressed texts, made by `training/retrieval`."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FILE = "replies.safetensors"
BLOCK = 32
"""Replies that are compressed together."""
_LEVEL = 9
_STEPS = 255
"""Of a vector's numbers, which are at most a half: vectors have length 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Counts are in replies; vectors are rows of signed bytes, see `packed`."""

    messages: Tensor  # [replies, width], what was answered
    replies: Tensor  # [replies, narrow], in the space that `Projection` maps conversations into
    places: Tensor  # [replies], exchanges before it
    left: Tensor  # [replies], exchanges after it
    texts: Tensor  # bytes, deflated blocks one after the other
    ends: Tensor  # [blocks], of the blocks in `texts`

    def __len__(self) -> int:
        return len(self.places)

    def text(self, number: int) -> str:
        """A reply's words."""
        block, place = divmod(number, BLOCK)
        start = int(self.ends[block - 1]) if block else 0
        replies: list[str] = json.loads(zlib.decompress(self.texts[start : int(self.ends[block])].numpy().tobytes()))
        return replies[place]


def packed(vectors: Tensor) -> Tensor:
    """Vectors of length 1 as signed bytes."""
    return (vectors * _STEPS).round().clamp(-127, 127).to(torch.int8)


def products(rows: Tensor, vector: Tensor) -> Tensor:
    """The cosine of each packed row with a vector of length 1, [rows]."""
    return torch.cat([part.float() @ vector for part in torch.split(rows, _AT_ONCE)]) / _STEPS


_AT_ONCE = 8192
"""Rows that are spread out together, so that they stay in the cache."""


def packed_texts(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """`texts` and `ends` of a collection."""
    blocks = [zlib.compress(_block(texts[start : start + BLOCK]), _LEVEL) for start in range(0, len(texts), BLOCK)]
    ends = torch.tensor([len(block) for block in blocks]).cumsum(0).to(torch.int32)
    return torch.frombuffer(bytearray(b"".join(blocks)), dtype=torch.uint8), ends


def _block(texts: Sequence[str]) -> bytes:
    return json.dumps(list(texts), ensure_ascii=False).encode()
