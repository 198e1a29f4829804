"""The pieces that texts are read in, and their first vectors, out of a pretrained encoder."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from training.retrieval.e5 import UNKNOWN, Packed, alone
from worker.retrieval.encoder import WIDTH

_LEAST_COUNT = 2
_EVENNESS = 1e-3
"""Of smooth inverse frequency (Arora et al. 2017): pieces that are much more frequent weigh less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """`vectors`: [pieces, width], weighted by how telling a piece is."""

    tokenizer: Tokenizer
    vectors: Tensor


def taken_from(packed: Packed, texts: Sequence[str]) -> Pieces:
    """Those that the texts use."""
    used = _counted(_tokenizer(packed.pieces, packed.scores.tolist()), texts)
    kept = [*range(UNKNOWN + 1), *sorted(piece for piece, count in used.items() if count >= _LEAST_COUNT)]
    kept = list(dict.fromkeys(kept))
    tokenizer = _tokenizer([packed.pieces[one] for one in kept], packed.scores[kept].tolist())
    vectors = alone(packed, kept)
    vectors = vectors - vectors.mean(0)
    axes = torch.linalg.eigh(vectors.T @ vectors).eigenvectors[:, -WIDTH:]
    shares = torch.tensor([used[piece] for piece in kept]).float() / max(1, used.total())
    weights = _EVENNESS / (_EVENNESS + shares)
    weights[: UNKNOWN + 1] = 0
    return Pieces(tokenizer=tokenizer, vectors=torch.nn.functional.normalize(vectors @ axes, dim=1) * weights[:, None])


def _counted(tokenizer: Tokenizer, texts: Iterable[str]) -> Counter[int]:
    used: Counter[int] = Counter()
    for encoded in tokenizer.encode_batch(list(texts)):
        used.update(encoded.ids)
    return used


def _tokenizer(pieces: Sequence[str], scores: Sequence[float]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), UNKNOWN, False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer
