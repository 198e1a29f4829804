"""Attention over a cache of blocks, for sequences of any length side by side in one step.

Registered with transformers under `NAME`; a model that is called with it needs the keyword `paged`, a `Step`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "mindglm_paged"

_FOREIGN = ("sliding_window", "softcap", "s_aux")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValues:
    """One layer's cache: keys and values, each [blocks, heads, size, width]."""

    keys: Tensor
    values: Tensor

    def write(self, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        """Store [heads, tokens, width] at `slots` ([heads * tokens], rows of blocks × heads × size)."""
        for cache, new in ((self.keys, keys), (self.values, values)):
            cache.view(-1, cache.shape[-1]).index_copy_(0, slots, new.reshape(-1, new.shape[-1]))

    def read(self, table: Tensor) -> tuple[Tensor, Tensor]:
        """The keys and values of whole blocks, each [sequences, heads, blocks × size, width].

        `table` is [sequences, heads, blocks]: rows of blocks × heads.
        """
        return _gather(self.keys, table), _gather(self.values, table)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillChunk:
    """A chunk of one prompt: `rows` of the step, attending to `length` tokens of which the last are its own."""

    rows: slice
    length: int
    table: Tensor
    mask: (
        Tensor | None
    )  # [own, length], True where a token may attend; None: causal, and the chunk is the whole prompt so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where each token of a step finds its keys and values: `decoding` rows of one token each, then prefill chunks."""

    caches: tuple[KeyValues, ...]
    slots: Tensor
    decoding: int
    table: Tensor
    mask: Tensor  # [decoding, 1, 1, blocks × size], 0 or -inf
    prompts: tuple[PrefillChunk, ...]


def register() -> None:
    """Make `NAME` known to transformers."""
    AttentionInterface.register(NAME, paged_attention)


def paged_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001  # transformers' signature
    *,
    scaling: float,
    paged: Step,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend from [1, heads, tokens, width]; gives [1, tokens, heads, width]."""
    if any(kwargs.get(name) is not None for name in _FOREIGN):
        raise NotImplementedError("attention with a sliding window, a soft cap or sinks")
    cache = paged.caches[module.layer_idx]  # type: ignore[index]  # every attention layer of transformers has it
    cache.write(paged.slots, key[0], value[0])
    parts = [_decode(query, cache, paged, scaling)] if paged.decoding else []
    parts.extend(_prefill(query, key, value, cache=cache, prompt=prompt, scaling=scaling) for prompt in paged.prompts)
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).unsqueeze(0), None


def _decode(query: Tensor, cache: KeyValues, step: Step, scaling: float) -> Tensor:
    """One token of each sequence; query heads that share a key head are rows of one product, so no key is repeated."""
    keys, values = cache.read(step.table)
    tokens, (_, heads, _, width) = step.decoding, query.shape
    folded = query[0, :, :tokens].transpose(0, 1).reshape(tokens, keys.shape[1], -1, width)
    scores = torch.matmul(folded * scaling, keys.transpose(2, 3)) + step.mask
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return torch.matmul(weights, values).reshape(tokens, heads, width)


def _prefill(
    query: Tensor, key: Tensor, value: Tensor, *, cache: KeyValues, prompt: PrefillChunk, scaling: float
) -> Tensor:
    own = query[:, :, prompt.rows]
    if prompt.mask is None:
        keys, values = key[:, :, prompt.rows], value[:, :, prompt.rows]
    else:
        keys, values = (part[:, :, : prompt.length] for part in cache.read(prompt.table))
    repeats = query.shape[1] // keys.shape[1]
    attended = scaled_dot_product_attention(
        own,
        keys.repeat_interleave(repeats, dim=1),
        values.repeat_interleave(repeats, dim=1),
        attn_mask=prompt.mask,
        is_causal=prompt.mask is None,
        scale=scaling,
    )
    return attended[0].transpose(0, 1)


def _gather(cache: Tensor, table: Tensor) -> Tensor:
    """Copies whole blocks of each head, so that the next product reads contiguous memory."""
    _, _, size, width = cache.shape
    sequences, heads, blocks = table.shape
    rows = cache.view(-1, size * width).index_select(0, table.reshape(-1))
    return rows.view(sequences, heads, blocks * size, width)
