"""The paged key-value cache, and attention over it for sequences of any length side by side in one step.

`paged_attention` is registered with transformers under `NAME`; a model that is called with it needs the keyword
`paged`, a `Step`. worker/engine/glm.py calls the same functions without transformers' modules.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "mindglm_paged"

_FOREIGN = ("sliding_window", "softcap", "s_aux")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillChunk:
    """A chunk of one prompt: `rows` of the step, attending to `length` tokens of which the last are its own."""

    rows: slice
    length: int
    table: Tensor  # [2, 1, heads, blocks], as `Step.table`
    mask: Tensor | None  # [own, length], True where a token may attend; None: causal, and the chunk starts the prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where each token of a step finds its keys and values: `decoding` rows of one token each, then prefill chunks.

    A cache is one layer's [blocks, 2 × heads, size, width], the key heads before the value heads; `slots` are the
    indices of each token's rows in it: ([tokens, 1], [1, 2 × heads], [tokens, 1]).
    """

    caches: tuple[Tensor, ...]
    slots: tuple[Tensor, Tensor, Tensor]
    decoding: int
    table: Tensor  # [2, decoding, heads, blocks]: rows of blocks × 2 × heads
    mask: Tensor  # [decoding, 1, 1, blocks × size], 0 or -inf
    prefill: tuple[PrefillChunk, ...]


def use(model: "PreTrainedModel") -> None:
    """Let the model's own modules attend over the paged cache from now on."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, paged_attention)
    model.set_attn_implementation(NAME)


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
    layer: Any = module.layer_idx
    keys_values = torch.cat((key[0], value[0])).transpose(0, 1)
    return attend(query[0].transpose(0, 1), keys_values, paged, layer=layer, scaling=scaling).unsqueeze(0), None


def attend(query: Tensor, keys_values: Tensor, step: Step, *, layer: int, scaling: float) -> Tensor:
    """Store the step's keys and values and attend: [tokens, heads, width] to the same.

    `keys_values` is [tokens, 2 × key heads, width], the keys before the values.
    """
    cache = step.caches[layer]
    cache.index_put_(step.slots, keys_values)
    parts = [_decode(query, cache, step, scaling)] if step.decoding else []
    parts.extend(_prefill(query, keys_values, cache=cache, chunk=chunk, scaling=scaling) for chunk in step.prefill)
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _decode(query: Tensor, cache: Tensor, step: Step, scaling: float) -> Tensor:
    """One token of each sequence. The query heads that share a key head are its rows, so no key is repeated."""
    tokens, (_, heads, width) = step.decoding, query.shape
    keys, values = _read(cache, step.table)
    folded = query[:tokens].view(tokens, keys.shape[1], -1, width)
    attended = scaled_dot_product_attention(folded, keys, values, attn_mask=step.mask, scale=scaling)
    return attended.reshape(tokens, heads, width)


def _prefill(query: Tensor, keys_values: Tensor, *, cache: Tensor, chunk: PrefillChunk, scaling: float) -> Tensor:
    own = query[chunk.rows].transpose(0, 1).unsqueeze(0)
    if chunk.mask is None:
        keys, values = keys_values[chunk.rows].transpose(0, 1).unsqueeze(0).chunk(2, dim=1)
    else:
        keys, values = (part[:, :, : chunk.length] for part in _read(cache, chunk.table))
    if query.is_cuda and chunk.mask is None:
        attended = scaled_dot_product_attention(own, keys, values, is_causal=True, scale=scaling, enable_gqa=True)
    else:
        repeats = own.shape[1] // keys.shape[1]
        attended = scaled_dot_product_attention(
            own,
            keys.repeat_interleave(repeats, dim=1),
            values.repeat_interleave(repeats, dim=1),
            attn_mask=chunk.mask,
            is_causal=chunk.mask is None,
            scale=scaling,
        )
    return attended[0].transpose(0, 1)


def _read(cache: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of whole blocks, each [sequences, heads, blocks × size, width] and contiguous."""
    _, _, size, width = cache.shape
    _, sequences, heads, blocks = table.shape
    rows = cache.view(-1, size * width).index_select(0, table.reshape(-1))
    keys, values = rows.view(2, sequences, heads, blocks * size, width)
    return keys, values
