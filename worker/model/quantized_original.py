"""Original chatglm2-6b-int4 and -int8 checkpoints, read back to half precision.

Their publisher's format: each linear layer of the encoder has int8 `weight` and half `weight_scale` (one per output
row), weight = stored × scale. With four bits a byte holds two neighbours of a row, the first in its upper half.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worker.engine.port import ModelUnusable
from worker.model.find import weight_files

_SCALE = "_scale"
_BITS = (4, 8)


def read_full_precision(directory: Path, *, bits: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """All tensors under their original names, dequantised to `dtype`. Raises `ModelUnusable`."""
    if bits not in _BITS:
        raise ModelUnusable(f"config.json says quantization_bit={bits!r}; only 4 and 8 exist.")
    tensors = dict(_tensors(directory))
    for name in [name for name in tensors if name.endswith(_SCALE)]:
        scale = tensors.pop(name)
        weight = name.removesuffix(_SCALE)
        if weight not in tensors:
            raise ModelUnusable(f"{directory} has {name}, but not {weight}. Fetch the model again.")
        tensors[weight] = dequantized(tensors[weight], scale, bits=bits)
    return {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def dequantized(stored: Tensor, scale: Tensor, *, bits: int) -> Tensor:
    """[rows, columns] of int8, or [rows, columns / 2] with four bits, times [rows]; in the scale's type."""
    if bits == 4:  # noqa: PLR2004  # the number of bits
        upper, lower = stored >> 4, (stored << 4) >> 4
        stored = torch.stack((upper, lower), dim=-1).flatten(1)
    return stored.to(scale.dtype) * scale.unsqueeze(1)


def _tensors(directory: Path) -> Iterator[tuple[str, Tensor]]:
    for file in weight_files(directory):
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            held: dict[str, Any] = load_file(file)
        else:
            held = torch.load(file, map_location="cpu", weights_only=True, mmap=_can_map(file))
        yield from held.items()


def _can_map(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(2) == b"PK"  # the older pickles cannot be mapped
