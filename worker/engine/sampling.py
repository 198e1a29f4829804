"""Draws the next token as the seed did: temperature, then the best k, then the nucleus of those."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """`top_k` 1 is greedy. `silent_ids` have no text and are never drawn."""

    temperature: float
    top_p: float
    top_k: int
    silent_ids: frozenset[int] = frozenset()


class Sampler:
    """Draws from rows of logits; the same distribution as temperature, top-k and top-p one after the other."""

    def __init__(self, sampling: Sampling, *, device: torch.device) -> None:
        self._sampling = sampling
        self._silent = torch.tensor(sorted(sampling.silent_ids), dtype=torch.long, device=device)

    def draw(self, logits: Tensor) -> list[int | None]:
        """One id per row of [rows, vocabulary]; None where the row holds no usable number (NaN)."""
        scores = logits.float()
        if len(self._silent):
            scores = scores.index_fill(1, self._silent, float("-inf"))
        best, ids = scores.topk(min(self._sampling.top_k, scores.shape[1]), dim=1)  # NaN counts as the greatest
        is_usable = best[:, 0].isfinite()
        weights = torch.softmax(best.nan_to_num(0.0, 0.0) / self._sampling.temperature, dim=1)
        before = weights.cumsum(dim=1) - weights
        nucleus = weights.masked_fill(before >= self._sampling.top_p, 0.0)
        drawn = ids.gather(1, torch.multinomial(nucleus, 1)).squeeze(1)
        return [id_ if usable else None for id_, usable in zip(drawn.tolist(), is_usable.tolist(), strict=True)]


def silent_ids(
    control: Iterable[int], *, text_size: int, vocabulary_size: int, stop_ids: Iterable[int]
) -> frozenset[int]:
    """Control tokens and the padding rows of the output layer, but not what ends a reply."""
    return frozenset({*control, *range(text_size, vocabulary_size)} - set(stop_ids))
