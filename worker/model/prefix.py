"""P-tuning v2 prefixes: what ChatGLM2's own code puts before the keys and values of each layer.

Its `PrefixEncoder` gives for each virtual token one vector for all layers, from a table, or from a table through two
linear layers (`prefix_projection`). In that vector the keys of a layer come before its values. They are not rotated,
and the positions of the real tokens begin at 0 behind them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worker.engine.port import ModelUnusable
from worker.model.find import weight_files

_MARK = "prefix_encoder."
_TABLE = "embedding.weight"
_PROJECTION = ("trans.0.weight", "trans.0.bias", "trans.2.weight", "trans.2.bias")


def read_prefix(directory: Path, *, config: Any) -> Tensor:
    """Keys and values for a model of this configuration: [layers, 2, key heads, virtual tokens, head width], float32.

    Raises `ModelUnusable`.
    """
    held = {name.partition(_MARK)[2]: tensor.float() for name, tensor in _tensors(directory) if _MARK in name}
    if _TABLE not in held:
        raise ModelUnusable(f"{directory} speaks of a P-tuning prefix, but its weights have none (prefix_encoder).")
    vectors = _encoded(held)
    shape = (config.num_hidden_layers, 2, config.num_key_value_heads, config.head_dim)
    if vectors.shape[1] != torch.Size(shape).numel():
        raise ModelUnusable(f"The P-tuning prefix in {directory} belongs to a model of another shape.")
    return vectors.view(-1, *shape).permute(1, 2, 3, 0, 4).contiguous()


def _encoded(held: Mapping[str, Tensor]) -> Tensor:
    """[virtual tokens, layers × 2 × key heads × head width]."""
    table = held[_TABLE]
    if not all(name in held for name in _PROJECTION):
        return table
    first, first_bias, second, second_bias = (held[name] for name in _PROJECTION)
    return torch.addmm(second_bias, torch.tanh(torch.addmm(first_bias, table, first.t())), second.t())


def _tensors(directory: Path) -> "list[tuple[str, Tensor]]":
    found: list[tuple[str, Tensor]] = []
    for file in weight_files(directory):
        try:
            if file.suffix == ".safetensors":
                from safetensors.torch import load_file

                found += load_file(file).items()
            else:
                found += torch.load(file, map_location="cpu", weights_only=True).items()
        except Exception as broken:  # safetensors and pickle raise errors of their own
            raise ModelUnusable(f"{file} is cut short or damaged. Fetch it again.") from broken
    return found
