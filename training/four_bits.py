"""QLoRA's frozen base (Dettmers et al. 2023): every matrix of the layers in four bits (NF4), computed with in `dtype`.

The adapter on top of it is an ordinary one: it is served on the base as it was, or on any copy of it.
"""

from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from training.trouble import TrainingTrouble

BITS = 4
BITS_PER_WEIGHT = 4.127
"""Four, a scale in eight bits for each block of 64, and one in 32 bits for each 256 of those."""


def freeze(model: PreTrainedModel, *, dtype: torch.dtype, device: torch.device) -> None:
    """Replace the matrices in place and move the model to `device`; the output matrix stays as it is.

    The weights are read at their size in 16 or 32 bits before, into main memory and not into the device's. Raises
    `TrainingTrouble` where bitsandbytes is missing.
    """
    try:
        import bitsandbytes as bnb
    except ModuleNotFoundError as error:
        raise TrainingTrouble("bitsandbytes is not installed: pip install 'mindglm-bot[qlora]'") from error
    whole = cast("Any", model)
    head = whole.get_output_embeddings()
    for parent in list(model.modules()):
        for name, matrix in list(parent.named_children()):
            if type(matrix) is nn.Linear and matrix is not head:
                setattr(parent, name, _in_four_bits(bnb, matrix, dtype).to(device))
    whole.to(device)
    whole.is_loaded_in_4bit = True  # how PEFT knows


def _in_four_bits(bnb: Any, matrix: nn.Linear, dtype: torch.dtype) -> nn.Module:
    small: nn.Module = bnb.nn.Linear4bit(
        matrix.in_features,
        matrix.out_features,
        bias=matrix.bias is not None,
        compute_dtype=dtype,
        quant_type="nf4",
        compress_statistics=True,
    )
    small.weight = bnb.nn.Params4bit(
        matrix.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True
    )
    if matrix.bias is not None:
        small.bias = nn.Parameter(matrix.bias.data, requires_grad=False)
    return small
