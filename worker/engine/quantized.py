"""Linear layers whose weights are stored in eight or four bits, so that a 6B model fits into half or a third.

A weight is stored × scale: one scale per output row with eight bits, one per 32 inputs with four. The product is
computed with the weights spread out again for each call; on a CPU eight bits are multiplied as they are.
"""

import warnings
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear as product

Bits = Literal[4, 8]

_EIGHT: Bits = 8
_GROUP = 32
_HEAD = "lm_head"
_SMALLEST = 1e-9
_LARGEST = 127
_TILED_WEIGHTS = 2**23
"""Of smaller layers the calls take longer than the products: tiles win at 4,096 x 4,096 and lose at 768 x 4,096."""


class QuantizedLinear(nn.Module):
    """A linear layer for inference only. Its inputs' count must be a multiple of 32 with four bits."""

    def __init__(self, stored: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        """`stored`: [out, in] of int8, or [out, in / 2] of uint8; `scale`: [out, groups]."""
        super().__init__()
        self.stored = nn.Buffer(stored)
        self.scale = nn.Buffer(scale)
        self.bias = None if bias is None else nn.Buffer(bias)

    @property
    def bits(self) -> Bits:
        """Of each weight."""
        return 8 if self.stored.dtype is torch.int8 else 4

    @property
    def weight(self) -> Tensor:
        """The weights in the scale's type, [out, in]; made anew for each call."""
        if self.bits == _EIGHT:
            return self.stored.to(self.scale.dtype) * self.scale
        upper, lower = self.stored >> 4, self.stored & 15
        numbers = torch.stack((upper, lower), dim=-1).flatten(1).to(self.scale.dtype) - 8
        rows, columns = numbers.shape
        grouped = numbers.view(rows, -1, _GROUP) * self.scale.unsqueeze(2)
        return grouped.view(rows, columns)

    def forward(self, inputs: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        return product(inputs, self.weight, self.bias)


def quantize(model: nn.Module, bits: Bits) -> None:
    """Replace the linear layers in place.

    With four bits the head keeps its own, which costs little and loses most, and so does a layer whose inputs do not
    fall into groups of 32 (there is none in MindGLM).
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and (bits == _EIGHT or (name != _HEAD and child.in_features % _GROUP == 0)):
                setattr(parent, name, quantized(child, bits))


def quantized(layer: nn.Linear, bits: Bits) -> QuantizedLinear:
    """The same layer in fewer bits."""
    weight = layer.weight.data
    bias: Tensor | None = layer.bias
    held = None if bias is None else bias.data
    if bits == _EIGHT:
        scale = weight.float().abs().amax(dim=1, keepdim=True).clamp(min=_SMALLEST) / _LARGEST
        stored = (weight.float() / scale).round().to(torch.int8)
        return QuantizedLinear(stored, scale.to(weight.dtype), held)
    grouped = weight.float().view(weight.shape[0], -1, _GROUP)
    scale = grouped.abs().amax(dim=2).clamp(min=_SMALLEST) / 7
    numbers = ((grouped / scale.unsqueeze(2)).round() + 8).to(torch.uint8).flatten(1)
    return QuantizedLinear(numbers[:, ::2] << 4 | numbers[:, 1::2], scale.to(weight.dtype), held)


def joined(layers: list[QuantizedLinear]) -> QuantizedLinear:
    """One layer whose outputs are those of the given ones, side by side."""
    biases: list[Tensor] = [layer.bias for layer in layers if layer.bias is not None]
    return QuantizedLinear(
        torch.cat([layer.stored for layer in layers]),
        torch.cat([layer.scale for layer in layers]),
        torch.cat(biases) if biases else None,
    )


def int8_linear(layer: QuantizedLinear) -> nn.Module:
    """The form of eight bits whose steps are the fastest on this CPU (decision 98)."""
    is_large = layer.stored.numel() >= _TILED_WEIGHTS
    is_tiled = is_large and layer.scale.dtype is torch.bfloat16 and can_tile()
    return TiledInt8Linear(layer) if is_tiled else DynamicInt8Linear(layer)


def can_tile() -> bool:
    """Whether the CPU multiplies tiles of int8 (AMX) and this torch has oneDNN's ops for them."""
    return bool(torch.cpu.get_capabilities().get("amx_int8")) and hasattr(torch.ops.onednn, "qlinear_pointwise")


class TiledInt8Linear(nn.Module):
    """As `DynamicInt8Linear`, in oneDNN's tiles and for bfloat16: the weights once, at any number of rows."""

    def __init__(self, layer: QuantizedLinear) -> None:
        super().__init__()
        self._packed = torch.ops.onednn.qlinear_prepack(layer.stored, None)
        self._scale = layer.scale.float().squeeze(1)
        self._zeros = torch.zeros(len(layer.stored), dtype=torch.int32)
        self._bias = layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        rows = inputs.reshape(-1, inputs.shape[-1])
        # a step of bfloat16, so that the product can be multiplied in place; rounded up, so that 127 steps suffice
        step = torch.linalg.vector_norm(rows, torch.inf, dim=1, keepdim=True).mul_(_STEP).clamp_(min=_SMALLEST)
        numbers = torch.div(rows.float(), step).round_().to(torch.int8)
        product = torch.ops.onednn.qlinear_pointwise
        result: Tensor = product(
            numbers, 1.0, 0, self._packed, self._scale, self._zeros, None, 1.0, 0, inputs.dtype, "none", [], ""
        )
        result.mul_(step)
        if self._bias is not None:
            result += self._bias
        return result.view(*inputs.shape[:-1], len(self._scale))


_STEP = 1.01 / _LARGEST


class DynamicInt8Linear(nn.Module):
    """On a CPU: int8 weights times inputs that are rounded to eight bits row by row."""

    def __init__(self, layer: QuantizedLinear) -> None:
        super().__init__()
        scale = layer.scale.double().squeeze(1)
        zeros = torch.zeros(len(scale), dtype=torch.long)
        self._bias = None if layer.bias is None else layer.bias.float()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated without a successor that takes bfloat16 and any CPU
            weight = torch._make_per_channel_quantized_tensor(layer.stored, scale, zeros, 0)  # noqa: SLF001  # no public name
            self._packed = torch.ops.quantized.linear_prepack(weight, None)

    def forward(self, inputs: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        numbers = inputs.float()
        # torch rounds with one scale for all rows, so a large row would cost the others their precision
        largest = numbers.abs().amax(dim=-1, keepdim=True).clamp_(min=_SMALLEST)
        result: Tensor = torch.ops.quantized.linear_dynamic(numbers / largest, self._packed, _REDUCED).mul_(largest)
        if self._bias is not None:
            result += self._bias
        return result.to(inputs.dtype)


_REDUCED = not any(torch.cpu.get_capabilities().get(name) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))
"""Without these instructions sums of two products may not fit into 16 bits; inputs then take seven."""
