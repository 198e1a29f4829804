"""On a CPU in bfloat16: linear layers whose weights are reordered once into oneDNN's blocked layout.

The products are bit-identical; without this every call reorders the weights again, which takes half the time of a
step (docs/performance.md).
"""

from typing import Any

import torch
from torch import Tensor, nn

from worker.engine.quantized import QuantizedLinear, int8_linear

_INT8 = 8


class PackedLinear(nn.Module):
    """A linear layer for inference only; its weights cannot be read back."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.data)  # noqa: SLF001  # no public name
        bias: Tensor | None = linear.bias  # which torch's types do not say
        self._bias = None if bias is None else bias.data

    def forward(self, inputs: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        product = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001  # no public name
        result: Tensor = product(inputs, self._weight, self._bias, "none", [], "")
        return result

    def add_to(self, residual: Tensor, inputs: Tensor) -> Tensor:
        """`residual` + the product, [tokens, out]."""
        product = torch.ops.mkldnn._linear_pointwise.binary  # noqa: SLF001  # no public name
        result: Tensor = product(inputs, residual, self._weight, self._bias, "add")
        return result


def pack(model: nn.Module) -> None:
    """Replace a CPU's linear layers by their fastest form in place: int8 ones, and those in bfloat16."""
    packs_bfloat16 = can_pack()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, QuantizedLinear) and child.bits == _INT8 and child.stored.device.type == "cpu":
                setattr(parent, name, int8_linear(child))
            elif packs_bfloat16 and type(child) is nn.Linear and _is_packable(child.weight):
                setattr(parent, name, PackedLinear(child))


def can_pack() -> bool:
    """Whether this torch has oneDNN's ops for packed weights (x86 builds do) and the CPU multiplies bfloat16."""
    ops: Any = torch.ops.mkldnn
    return (
        bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]  # torch leaves it untyped
        and hasattr(ops, "_reorder_linear_weight")
        and bool(ops._is_mkldnn_bf16_supported())  # noqa: SLF001  # no public name
    )


def _is_packable(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and weight.dtype is torch.bfloat16
