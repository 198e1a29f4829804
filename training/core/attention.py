"""Attention over packed rows for training, registered with transformers under `NAME`.

Queries go in slices, each over no more keys than its own past: on a CPU half the work of torch's own function, and the
scores of a slice stay in the cache. The mask is the additive one of `Batch.bias`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel

from worker.engine import attention as paging

NAME = "mindglm_packed"

_SLICE = 128


def use(model: PreTrainedModel) -> None:
    """Let `model` compute packed rows from now on: by this function on a CPU, by torch's own on other devices."""
    AttentionInterface.register(NAME, attend)
    model.set_attn_implementation(NAME if model.device.type == "cpu" else "sdpa")


@contextmanager
def paged(model: PreTrainedModel) -> Iterator[None]:
    """Let `model` compute as the worker's engine drives it, for as long as the context lasts."""
    was_training = model.training
    paging.use(model)
    model.train(mode=False)
    try:
        yield
    finally:
        model.train(mode=was_training)
        use(model)


def attend(
    _module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    dropout: float = 0.0,  # noqa: ARG001  # transformers passes it; the shapes trained here have none
    **_: Any,
) -> tuple[Tensor, None]:
    """[rows, heads, length, width] to [rows, length, heads, width]."""
    if attention_mask is None:
        raise ValueError("packed rows need their mask")
    rows, heads, length, width = query.shape
    groups = key.shape[1]
    shared = heads // groups
    grouped = query.reshape(rows, groups, shared, length, width)
    slices = []
    for start in range(0, length, _SLICE):
        stop = min(start + _SLICE, length)
        own = grouped[:, :, :, start:stop].reshape(rows, groups, shared * (stop - start), width)
        scores = (own @ key[:, :, :stop].transpose(2, 3)).view(rows, groups, shared, stop - start, stop)
        masked = scores.float() * scaling + attention_mask[:, :, None, start:stop, :stop]
        chances = torch.softmax(masked, dim=-1).to(value.dtype)
        seen = chances.view(rows, groups, shared * (stop - start), stop) @ value[:, :, :stop]
        slices.append(seen.view(rows, heads, stop - start, width))
    return torch.cat(slices, dim=2).transpose(1, 2).contiguous(), None
