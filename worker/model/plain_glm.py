"""GLM's weights as modules with their names and no computation: all that `worker.engine.glm.FusedGlm` takes.

transformers' own class takes four seconds of processor time to import, which is most of the first reply of a small
model. Whatever is not in the plainest form is left to it: another architecture, type of file, rotation or set of names.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from worker.model.examine import Examined
from worker.model.find import weight_files

_TYPE = "glm"
_NEEDED = {
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
    *("head_dim", "rms_norm_eps", "vocab_size", "max_position_embeddings", "attention_bias", "tie_word_embeddings"),
}


class PlainGlm(nn.Module):
    """What the engine asks of a transformers' `GlmForCausalLM`, under the same names."""

    def __init__(self, config: Mapping[str, Any], generation: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """`weights`: all those of the checkpoint, by its names."""
        super().__init__()
        self.config = SimpleNamespace(**config)
        self.generation_config = SimpleNamespace(**generation)
        self.model = _Inner(self.config, _below("model", weights))
        self.lm_head = _linear(_below("lm_head", weights))

    @property
    def device(self) -> torch.device:
        return self.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.lm_head.weight.dtype


class _Inner(nn.Module):
    def __init__(self, config: Any, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.embed_tokens = _Weight(_below("embed_tokens", weights))
        layers = (_below(f"layers.{number}", weights) for number in range(config.num_hidden_layers))
        self.layers = nn.ModuleList(_Layer(config, layer) for layer in layers)
        self.norm = _Weight(_below("norm", weights))
        self.rotary_emb = nn.Module()
        self.rotary_emb.inv_freq = nn.Buffer(_frequencies(config), persistent=False)


class _Layer(nn.Module):
    def __init__(self, config: Any, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.input_layernorm = _Weight(_below("input_layernorm", weights))
        self.post_attention_layernorm = _Weight(_below("post_attention_layernorm", weights))
        self.self_attn = _Linears(_below("self_attn", weights))
        self.self_attn.scaling = config.head_dim**-0.5
        self.mlp = _Linears(_below("mlp", weights))


class _Weight(nn.Module):
    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.weight = _fixed(weights["weight"])


class _Linears(nn.Module):
    scaling: float

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in sorted({name.partition(".")[0] for name in weights}):
            setattr(self, name, _linear(_below(name, weights)))


def load_plain(examined: Examined, *, dtype: torch.dtype) -> PlainGlm | None:
    """The model on the CPU in evaluation mode; None where only transformers can read it, or say what is wrong."""
    config = examined.config
    files = weight_files(examined.directory)
    if not _is_plain(config) or any(file.suffix != ".safetensors" for file in files):
        return None
    weights: dict[str, Tensor] = {}
    try:
        for file in files:
            weights |= {name: weight.to(dtype) for name, weight in load_file(file).items()}
    except (OSError, SafetensorError):
        return None
    if config["tie_word_embeddings"] and "model.embed_tokens.weight" in weights:
        weights.setdefault("lm_head.weight", weights["model.embed_tokens.weight"])
    if {name: tuple(tensor.shape) for name, tensor in weights.items()} != _shapes(config):
        return None
    return PlainGlm(config, _generation(examined.directory), weights).eval()


def linear_of(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer with these values, for inference only.

    Its own constructor fills it at random first, which on the meta device imports torch's compiler: 1.5 seconds.
    """
    made = nn.Linear.__new__(nn.Linear)
    nn.Module.__init__(made)
    made.out_features, made.in_features = weight.shape
    made.weight = _fixed(weight)
    made.register_parameter("bias", None if bias is None else _fixed(bias))
    return made


def _linear(weights: Mapping[str, Tensor]) -> nn.Linear:
    return linear_of(weights["weight"], weights.get("bias"))


def _fixed(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


def _below(name: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): weight for key, weight in weights.items() if key.startswith(f"{name}.")}


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Of all weights, by name, as transformers writes them."""
    hidden, inner, words = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads, keys = (config[name] * config["head_dim"] for name in ("num_attention_heads", "num_key_value_heads"))
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm.weight": (hidden,),
        "post_attention_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (heads, hidden),
        "self_attn.k_proj.weight": (keys, hidden),
        "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.o_proj.weight": (hidden, heads),
        "mlp.gate_up_proj.weight": (2 * inner, hidden),
        "mlp.down_proj.weight": (hidden, inner),
    }
    if config["attention_bias"]:
        layer |= {f"self_attn.{name}_proj.bias": (size,) for name, size in (("q", heads), ("k", keys), ("v", keys))}
    of_all = {
        "model.embed_tokens.weight": (words, hidden),
        "model.norm.weight": (hidden,),
        "lm_head.weight": (words, hidden),
    }
    numbers = range(config["num_hidden_layers"])
    return of_all | {f"model.layers.{number}.{name}": shape for number in numbers for name, shape in layer.items()}


def _is_plain(config: Mapping[str, Any]) -> bool:
    rope = config.get("rope_parameters")
    return (
        config.get("model_type") == _TYPE
        and config.get("hidden_act") == "silu"
        and not config.get("quantization_config")
        and not config.get("pre_seq_len")
        and all(config.get(name) is not None for name in _NEEDED)
        and isinstance(rope, dict)
        and rope.get("rope_type") == "default"
        and {"rope_theta", "partial_rotary_factor"} <= rope.keys()
    )


def _frequencies(config: Any) -> Tensor:
    """Of the rotation, [rotated pairs] (https://arxiv.org/abs/2104.09864, 3.2.2)."""
    rope = config.rope_parameters
    rotated = int(config.head_dim * rope["partial_rotary_factor"])
    frequencies: Tensor = 1.0 / (rope["rope_theta"] ** (torch.arange(0, rotated, 2, dtype=torch.float32) / rotated))
    return frequencies


def _generation(directory: Path) -> dict[str, Any]:
    file = directory / "generation_config.json"
    read: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return read
