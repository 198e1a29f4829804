"""The shape of a small model in GLM's architecture, as the worker and transformers load it."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from transformers import GlmConfig, GlmForCausalLM


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes; `context` is in tokens."""

    width: int = 384
    layers: int = 6
    heads: int = 6
    groups: int = 2
    head_width: int = 64
    feed_forward: int = 1024
    context: int = 1024


def build(shape: Shape, *, vocabulary: int, end_ids: list[int], pad_id: int, seed: int) -> GlmForCausalLM:
    """A model with fresh weights, in float32; its output layer is its embedding."""
    config = GlmConfig(
        vocab_size=vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.groups,
        head_dim=shape.head_width,
        rms_norm_eps=1e-5,
        max_position_embeddings=shape.context,
        attention_bias=True,
        tie_word_embeddings=True,
        eos_token_id=end_ids,
        pad_token_id=pad_id,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5},
    )
    torch.manual_seed(seed)
    model = GlmForCausalLM(config)
    cast("Any", model).generation_config.eos_token_id = end_ids
    _quiet_outputs(model)
    return model


@torch.no_grad()
def _quiet_outputs(model: GlmForCausalLM) -> None:
    """What each layer adds starts at nothing, so that a deep model begins as a shallow one."""
    for name, weights in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weights.zero_()
