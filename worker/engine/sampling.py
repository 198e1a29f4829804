"""Samples the next token as the seed did: temperature, then top-k, then top-p within those."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_UNUSABLE = -1
_GROUP = 64  # columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """`top_k` 1 is greedy, None the whole vocabulary.

    `suppressed_ids` have no text and are never sampled.
    """

    temperature: float
    top_p: float
    top_k: int | None
    suppressed_ids: frozenset[int] = frozenset()


class Sampler:
    """Samples from rows of logits: the distribution of temperature, top-k and top-p applied one after the other."""

    def __init__(self, sampling: Sampling, *, device: torch.device) -> None:
        self._sampling = sampling
        self._suppressed = torch.tensor(sorted(sampling.suppressed_ids), dtype=torch.long, device=device)

    def sample(self, logits: Tensor) -> list[int | None]:
        """One id per row of [rows, vocabulary]; None where the row is unusable (NaN or infinite)."""
        scores = logits.float()
        if len(self._suppressed):
            scores = scores.index_fill(1, self._suppressed, float("-inf"))
        top_k = self._sampling.top_k or scores.shape[1]
        if top_k >= scores.shape[1] and self._sampling.top_p >= 1:  # nothing is left out: nothing to sort
            return _known(_one_of(self._weights(scores)).squeeze(1), scores.amax(dim=1).isfinite())
        best, ids = largest(scores, min(top_k, scores.shape[1]))  # NaN sorts first
        weights = self._weights(best)
        before = weights.cumsum(dim=1) - weights
        nucleus = weights.masked_fill(before >= self._sampling.top_p, 0.0)
        return _known(ids.gather(1, _one_of(nucleus)).squeeze(1), best[:, 0].isfinite())

    def _weights(self, scores: Tensor) -> Tensor:
        return torch.softmax(scores.nan_to_num(0.0, 0.0) / self._sampling.temperature, dim=1)


def _known(drawn: Tensor, is_usable: Tensor) -> list[int | None]:
    known: list[int] = drawn.masked_fill(~is_usable, _UNUSABLE).tolist()  # the step's only wait for the device
    return [None if id_ == _UNUSABLE else id_ for id_ in known]


def largest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest of each row, in order, and their columns: as `topk`, which on a CPU moves all of a row around.

    They stand in the groups of columns with the largest maxima, which are found first.
    """
    rows, columns = scores.shape
    if scores.device.type != "cpu" or columns % _GROUP or count * _GROUP * 2 > columns:
        best, ids = scores.topk(count, dim=1)
        return best, ids
    groups = scores.reshape(rows, -1, _GROUP)
    chosen = groups.amax(dim=2).topk(count, dim=1).indices
    candidates = groups.gather(1, chosen.unsqueeze(2).expand(-1, -1, _GROUP)).view(rows, -1)
    best, places = candidates.topk(count, dim=1)
    return best, chosen.gather(1, places // _GROUP) * _GROUP + places % _GROUP


def _one_of(weights: Tensor) -> Tensor:
    """An index of each row, drawn by its weights: [rows, 1].

    The race of exponential clocks, as in torch.multinomial, which waits for the device to check its weights.
    """
    clocks = torch.empty_like(weights).exponential_()
    return (weights / clocks).argmax(dim=1, keepdim=True)


def guide(logits: Tensor, scales: Sequence[float | None]) -> Tensor:
    """Fold each guided row of [rows, vocabulary] and the unconditional row after it into one.

    `scales` has an entry for each row: the scale where a guided pair begins, None elsewhere.
    """
    pairs = [(row, scale) for row, scale in enumerate(scales) if scale is not None]
    if not pairs:
        return logits
    unconditional = {row + 1 for row, _ in pairs}
    rows = torch.tensor([row for row, _ in pairs], device=logits.device)
    strength = torch.tensor([[scale] for _, scale in pairs], device=logits.device)
    plain, guided = logits[rows + 1].float(), logits[rows].float()
    folded = logits.float().index_copy(0, rows, plain + strength * (guided - plain))
    return folded[[row for row in range(len(scales)) if row not in unconditional]]


def suppressed_ids(
    control: Iterable[int], *, text_size: int, vocabulary_size: int, stop_ids: Iterable[int]
) -> frozenset[int]:
    """Control tokens and the padding rows of the output layer, except those that end a reply."""
    return frozenset({*control, *range(text_size, vocabulary_size)} - set(stop_ids))
