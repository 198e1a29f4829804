"""Texts as vectors: the weighted sum of their pieces' vectors, with no network behind them.

The pieces' vectors were taken from a pretrained encoder, as model2vec does, and trained on with pairs of messages and
replies (training/retrieval).
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

WIDTH = 192
PIECES, VECTORS = "pieces.json", "pieces.safetensors"
MAX_TOKENS = 128


class PieceEncoder:
    """Reads its two files at once."""

    def __init__(self, directory: Path) -> None:
        self._pieces = Tokenizer.from_file(str(directory / PIECES))
        with safe_open(directory / VECTORS, framework="pt") as stored:
            self._vectors = stored.get_tensor("vectors").float() * stored.get_tensor("scale").float()

    def encode(self, texts: Sequence[str]) -> Tensor:
        """[texts, width], of length 1 each, or zeros for a text without pieces."""
        ids, starts = numbered(self._pieces, texts)
        return normalize(embedding_bag(ids, self._vectors, starts, mode="sum"), dim=1)


def numbered(pieces: Tokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The pieces of all texts one after the other, and where each text begins; the first 128 of a text count."""
    ids = [encoded.ids[:MAX_TOKENS] for encoded in pieces.encode_batch(list(texts))]
    lengths = torch.tensor([0, *map(len, ids)])
    return torch.tensor([number for row in ids for number in row], dtype=torch.long), lengths.cumsum(0)[:-1]
