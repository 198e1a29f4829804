"""Memory and time of a phase, before it starts: from a model's configuration and the machine's measured pace.

Arithmetic after Korthikanti et al. 2022 (activations of a transformer layer) and Kaplan et al. 2020 (2 operations per
weight and token forward, 2 for the gradients of activations, 2 for those of weights; frozen weights need four of six).
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training import four_bits
from training.machine import choose_precision
from training.recipe import DpoRecipe, PpoRecipe, RewardRecipe, TuningRecipe
from training.trouble import TrainingTrouble

CHATGLM2_6B: dict[str, Any] = {
    "hidden_size": 4096,
    "intermediate_size": 13696,
    "num_hidden_layers": 28,
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "vocab_size": 65024,
    "tie_word_embeddings": False,
    "model_type": "chatglm",
}
_FUSED = frozenset({"chatglm", "glm", "glm4", "phi3"})
"""Model types whose gate and up projection are one matrix."""

_CHATGLM2_NAMES = {
    "ffn_hidden_size": "intermediate_size",
    "num_layers": "num_hidden_layers",
    "multi_query_group_num": "num_key_value_heads",
    "kv_channels": "head_dim",
    "padded_vocab_size": "vocab_size",
}
_GIB = 2**30
_UTILISATION = 0.4  # of the pace of plain products; attention, norms and small batches take the rest
_LOGIT_SLICE = 512  # places, as in `training.core.losses`
_PROBE = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """GiB, and seconds for a million tokens."""

    parameters: int
    trained: int
    weights_gib: float
    optimiser_gib: float
    activations_gib: float
    logits_gib: float
    rollouts_gib: float
    seconds_per_million: float

    @property
    def total_gib(self) -> float:
        """With a tenth on top for fragments and the runtime."""
        held = self.weights_gib + self.optimiser_gib + self.activations_gib + self.logits_gib + self.rollouts_gib
        return 1.1 * held


def shape_of(model: Path | None) -> dict[str, Any]:
    """The configuration of a model's directory under transformers' names, ChatGLM2-6B's without one."""
    if model is None:
        return CHATGLM2_6B
    try:
        config: dict[str, Any] = json.loads((model / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingTrouble(f"{model} has no config.json that can be read.") from error
    named = {_CHATGLM2_NAMES.get(name, name): value for name, value in config.items()}
    heads = named.get("num_attention_heads")
    if heads and "hidden_size" in named:  # what transformers itself supposes
        named = {"num_key_value_heads": heads, "head_dim": named["hidden_size"] // heads} | {
            name: value for name, value in named.items() if value is not None
        }
    missing = [name for name in CHATGLM2_6B if name not in named and name != "tie_word_embeddings"]
    if missing:
        raise TrainingTrouble(f"{model}/config.json does not name {', '.join(missing)}.")
    return {"tie_word_embeddings": False, **named}


def estimate(shape: dict[str, Any], recipe: TuningRecipe, *, flops: float, bytes_per_weight: int = 2) -> Estimate:
    """What a recipe needs of a device that does `flops` operations a second in plain products.

    A whole model that is trained with a reference (DPO, PPO) needs a frozen copy of it, and PPO one of the reward
    model; LoRA switches adapters over the same weights instead.
    """
    matrices = _matrices(shape)
    layers, width, vocabulary = shape["num_hidden_layers"], shape["hidden_size"], shape["vocab_size"]
    in_layers = layers * sum(rows * columns for rows, columns in matrices.values())
    heads = vocabulary * width * (1 if shape["tie_word_embeddings"] else 2)
    parameters = in_layers + heads + (2 * layers + 1) * width
    lora = recipe.lora
    trained = parameters
    if lora is not None:
        sides = (sum(sides) for name, sides in matrices.items() if lora.targets is None or name in lora.targets)
        trained = layers * lora.rank * sum(sides)
    copies = _copies(recipe)
    has_four_bits = lora is not None and lora.base_bits == four_bits.BITS
    in_matrix = four_bits.BITS_PER_WEIGHT / 8 if has_four_bits else bytes_per_weight  # bytes
    tokens = recipe.rows * recipe.length * (2 if isinstance(recipe, RewardRecipe | DpoRecipe) else 1)
    kept = 1 if recipe.recomputed else layers
    held = layers * width if recipe.recomputed else 0  # what each layer began from
    activations = bytes_per_weight * tokens * (kept * _places(shape, recipe.length) + held)
    operations = (4 if lora is not None else 6) + (2 if recipe.recomputed else 0)
    return Estimate(
        parameters=parameters,
        trained=trained,
        weights_gib=copies * (bytes_per_weight * (parameters - in_layers) + in_matrix * in_layers) / _GIB,
        optimiser_gib=(12 + bytes_per_weight) * trained / _GIB,  # master, two moments in float32, gradient
        activations_gib=activations / _GIB,
        logits_gib=3 * 4 * _LOGIT_SLICE * vocabulary / _GIB,
        rollouts_gib=_rollouts(shape, recipe, bytes_per_weight) / _GIB,
        seconds_per_million=1e6 * operations * (in_layers + vocabulary * width) / (flops * _UTILISATION),
    )


def measured_flops(recipe: TuningRecipe, device: torch.device) -> float:
    """Operations a second of large products on this device, in the recipe's precision."""
    dtype = choose_precision(recipe, device)
    left, right = (torch.randn(_PROBE, _PROBE, device=device).to(dtype) for _ in range(2))
    for repeats in (1, 4):  # the first warms up
        started = time.perf_counter()
        for _ in range(repeats):
            product = left @ right
        float(product[0, 0])  # waits for the device
        seconds = time.perf_counter() - started
    return repeats * 2 * _PROBE**3 / seconds


def _copies(recipe: TuningRecipe) -> int:
    """How many models are held."""
    if recipe.lora is not None:
        return 1
    return 3 if isinstance(recipe, PpoRecipe) else 2 if isinstance(recipe, DpoRecipe) else 1


def _rollouts(shape: dict[str, Any], recipe: TuningRecipe, bytes_per_number: int) -> float:
    """Bytes of the keys and values while replies are drawn; nothing else is held then."""
    if not isinstance(recipe, PpoRecipe):
        return 0.0
    per_token = 2 * shape["num_hidden_layers"] * shape["num_key_value_heads"] * shape["head_dim"]
    return float(recipe.rollouts * recipe.length * per_token * bytes_per_number)


def _matrices(shape: dict[str, Any]) -> dict[str, tuple[int, int]]:
    width, wide = shape["hidden_size"], shape["intermediate_size"]
    queries = shape["num_attention_heads"] * shape["head_dim"]
    keys = shape["num_key_value_heads"] * shape["head_dim"]
    gated = {"gate_up_proj": (width, 2 * wide)}
    if shape.get("model_type") not in _FUSED:
        gated = {"gate_proj": (width, wide), "up_proj": (width, wide)}
    return {
        "q_proj": (width, queries),
        "k_proj": (width, keys),
        "v_proj": (width, keys),
        "o_proj": (queries, width),
        **gated,
        "down_proj": (wide, width),
    }


def _places(shape: dict[str, Any], length: int) -> int:
    """Numbers that one layer keeps for a token's gradients: inputs of the products, and attention's scores."""
    matrices = _matrices(shape)
    products = sum(sum(sides) for name, sides in matrices.items() if name not in {"k_proj", "v_proj"})
    keys = 2 * matrices["k_proj"][1]
    return int(products + keys + 4 * shape["hidden_size"] + 2 * shape["num_attention_heads"] * length)
