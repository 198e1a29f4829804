"""GLM's forward over the paged cache with few operations: on a GPU their launches, on a CPU their calls, cost time.

Computes what transformers' GlmForCausalLM computes, with three differences in form: one product for queries, keys and
values, rotation as one complex product in float32, and residuals added by the product that follows them.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, rms_norm, silu

from worker.engine import quantized
from worker.engine.attention import Step, attend
from worker.engine.packed import PackedLinear
from worker.engine.quantized import QuantizedLinear
from worker.model.plain_glm import PlainGlm, linear_of

if TYPE_CHECKING:
    from transformers import GlmForCausalLM, PreTrainedModel


def can_fuse(model: "PreTrainedModel | PlainGlm") -> bool:
    """Whether this is a GLM with nothing that `FusedGlm` does not compute."""
    config: Any = model.config
    return (
        _is_glm(model)
        and config.hidden_act == "silu"
        and config.rope_parameters["rope_type"] in {"default", "linear"}
        and all(type(layer.self_attn.q_proj) in {nn.Linear, QuantizedLinear} for layer in _layers(model))
    )


def _is_glm(model: "PreTrainedModel | PlainGlm") -> bool:
    if isinstance(model, PlainGlm):
        return True
    from transformers import GlmForCausalLM  # loaded already: the model is one of its own

    return isinstance(model, GlmForCausalLM)


def _layers(model: Any) -> Any:
    return model.model.layers


class FusedGlm(nn.Module):
    """Takes the weights out of a `GlmForCausalLM`, which cannot run any more afterwards, or of a `PlainGlm`."""

    def __init__(self, model: "GlmForCausalLM | PlainGlm") -> None:
        super().__init__()
        config: Any = model.config
        inner: Any = model.model
        self._eps = config.rms_norm_eps
        self._embedding = inner.embed_tokens.weight
        self._frequencies = inner.rotary_emb.inv_freq.to(device=model.device, dtype=torch.float32)
        self._norm = inner.norm.weight
        self.layers = nn.ModuleList(_Layer(layer, config, number) for number, layer in enumerate(inner.layers))
        self.head: Any = model.lm_head

    def forward(self, ids: Tensor, positions: Tensor, asked: Tensor, step: Step) -> Tensor:
        """Logits after the tokens at `asked`, [asked, vocabulary]; `ids` and `positions` are [tokens]."""
        angles = positions.unsqueeze(1) * self._frequencies
        rotation = torch.polar(torch.ones_like(angles), angles).unsqueeze(1)
        hidden = embedding(ids, self._embedding)
        for layer in self.layers:
            hidden = layer(hidden, rotation, step)
        last = rms_norm(hidden.index_select(0, asked), self._norm.shape, self._norm, self._eps)
        logits: Tensor = self.head(last)
        return logits


class _Layer(nn.Module):
    def __init__(self, layer: Any, config: Any, number: int) -> None:
        super().__init__()
        attention = layer.self_attn
        self._number = number
        self._eps = config.rms_norm_eps
        self._heads = config.num_attention_heads
        self._key_heads = config.num_key_value_heads
        self._scaling = attention.scaling
        self._input_norm = layer.input_layernorm.weight
        self._post_norm = layer.post_attention_layernorm.weight
        self.qkv = _joined(attention.q_proj, attention.k_proj, attention.v_proj)
        del attention.q_proj, attention.k_proj, attention.v_proj
        self.out = attention.o_proj
        self.gate_up = layer.mlp.gate_up_proj
        self.down = layer.mlp.down_proj

    def forward(self, hidden: Tensor, rotation: Tensor, step: Step) -> Tensor:
        """[tokens, hidden] to the same; `rotation` is [tokens, 1, rotated pairs], complex."""
        normed = rms_norm(hidden, self._input_norm.shape, self._input_norm, self._eps)
        qkv = self.qkv(normed).unflatten(1, (self._heads + 2 * self._key_heads, -1))
        rotated = qkv[:, : -self._key_heads, : 2 * rotation.shape[-1]]
        pairs = torch.view_as_complex(rotated.float().unflatten(-1, (-1, 2)))
        rotated.copy_(torch.view_as_real(pairs * rotation).flatten(-2))
        attended = attend(qkv[:, : self._heads], qkv[:, self._heads :], step, layer=self._number, scaling=self._scaling)
        hidden = _add(hidden, self.out, attended.flatten(1))
        normed = rms_norm(hidden, self._post_norm.shape, self._post_norm, self._eps)
        gate, up = self.gate_up(normed).chunk(2, dim=-1)
        return _add(hidden, self.down, silu(gate) * up)


def _joined(*linears: Any) -> nn.Module:
    """One linear layer whose outputs are those of the given ones, side by side."""
    if all(isinstance(linear, QuantizedLinear) for linear in linears):
        return quantized.joined(list(linears))
    weight = torch.cat([linear.weight.data for linear in linears])
    has_bias = linears[0].bias is not None
    return linear_of(weight, torch.cat([linear.bias.data for linear in linears]) if has_bias else None)


def _add(residual: Tensor, linear: nn.Module, values: Tensor) -> Tensor:
    """`residual` + `linear(values)`, as one operation where there is one."""
    if isinstance(linear, PackedLinear):
        return linear.add_to(residual, values)
    if isinstance(linear, nn.Linear | QuantizedLinear):
        return torch.addmm(residual, values, linear.weight.t())
    result: Tensor = residual + linear(values)
    return result
