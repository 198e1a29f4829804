"""ChatGLM2's original on-disk format on transformers' native GLM classes: renames and one split, no arithmetic.

Every field of the original configuration that changes the mathematics is read or refused here, none is guessed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import GlmConfig, GlmForCausalLM
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import Split, WeightConverter, WeightRenaming

from worker.engine.port import ModelUnusable

_REQUIRED = {
    "rmsnorm": True,
    "add_bias_linear": False,
    "add_qkv_bias": True,
    "post_layer_norm": True,
    "apply_residual_connection_post_layernorm": False,
    "multi_query_attention": True,
}
_IF_GIVEN = {"original_rope": True, "fp32_residual_connection": False}
_NUMBERS = (
    "padded_vocab_size",
    "hidden_size",
    "ffn_hidden_size",
    "num_layers",
    "num_attention_heads",
    "multi_query_group_num",
    "kv_channels",
    "layernorm_epsilon",
    "seq_length",
)

P_TUNING = (
    "{directory} holds a P-tuning prefix (prefix_encoder), which is no weight: it can be neither converted nor merged, "
    "and vLLM cannot serve it. Our own engine can: MINDGLM_ENGINE=transformers."
)
_RENAMES = {
    "transformer.embedding.word_embeddings": "model.embed_tokens",
    "transformer.encoder.final_layernorm": "model.norm",
    "transformer.output_layer": "lm_head",
    "transformer.encoder.layers": "model.layers",
    "self_attention.dense": "self_attn.o_proj",
    "mlp.dense_h_to_4h": "mlp.gate_up_proj",
    "mlp.dense_4h_to_h": "mlp.down_proj",
}
_JOINED = "self_attention.query_key_value"
_PROJECTIONS = ("q_proj", "k_proj", "v_proj")
_ROPE_THETA = 10_000.0


class ChatGLM2ForCausalLM(GlmForCausalLM):  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    """GLM under the name that the conversion is registered for; equal to `GlmForCausalLM` once loaded."""

    _keys_to_ignore_on_load_unexpected = [r"rotary_pos_emb\.inv_freq"]  # noqa: RUF012  # transformers' own form


def native_config(original: Mapping[str, Any]) -> GlmConfig:
    """The GLM configuration that computes what `original` (a ChatGLM2 ``config.json``) does. Raises `ModelUnusable`."""
    _refuse_other_mathematics(original)
    _refuse_broken_fields(original)
    try:
        return GlmConfig(
            vocab_size=original["padded_vocab_size"],
            hidden_size=original["hidden_size"],
            intermediate_size=original["ffn_hidden_size"],
            num_hidden_layers=original["num_layers"],
            num_attention_heads=original["num_attention_heads"],
            num_key_value_heads=original["multi_query_group_num"],
            head_dim=original["kv_channels"],
            rms_norm_eps=original["layernorm_epsilon"],
            max_position_embeddings=original["seq_length"],
            rope_parameters=_rope(original.get("rope_ratio") or 1),
            attention_bias=True,
            tie_word_embeddings=bool(original.get("tie_word_embeddings")),
            eos_token_id=_given(original, "eos_token_id", 2),
            pad_token_id=_given(original, "pad_token_id", 0),
        )
    except Exception as broken:  # the library checks kinds with errors of its own
        said = (str(broken).strip() or type(broken).__name__).splitlines()[0]
        raise ModelUnusable(f"config.json cannot be used: {said}") from broken


def register_conversion() -> None:
    """Tell transformers how to read ChatGLM2's weights; a second call changes nothing."""
    register_checkpoint_conversion_mapping(ChatGLM2ForCausalLM.__name__, _conversion(), overwrite=True)


def native_tensors(original: Mapping[str, Tensor], config: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors under their native names, as the registered conversion would give them."""
    rows = [heads * config.head_dim for heads in (config.num_attention_heads, *[config.num_key_value_heads] * 2)]
    for name, tensor in original.items():
        if name.endswith("rotary_pos_emb.inv_freq"):
            continue
        renamed = name
        for old, new in _RENAMES.items():
            renamed = renamed.replace(old, new)
        if _JOINED not in renamed:
            yield renamed, tensor
            continue
        for projection, part in zip(_PROJECTIONS, torch.split(tensor, rows), strict=True):
            yield renamed.replace(_JOINED, f"self_attn.{projection}"), part.clone()


def _conversion() -> list[WeightRenaming | WeightConverter]:
    splits = (
        WeightConverter(
            f"{_JOINED}.{kind}",
            [f"self_attn.{name}.{kind}" for name in _PROJECTIONS],
            operations=[Split(dim=0)],
        )
        for kind in ("weight", "bias")
    )
    return [*(WeightRenaming(old, new) for old, new in _RENAMES.items()), *splits]


def _refuse_other_mathematics(original: Mapping[str, Any]) -> None:
    if original.get("pre_seq_len"):
        raise ModelUnusable(P_TUNING.format(directory="The directory"))
    expected = _REQUIRED | {name: value for name, value in _IF_GIVEN.items() if original.get(name) is not None}
    wrong = [name for name, value in expected.items() if original.get(name) != value]
    if wrong:
        shown = ", ".join(f"{name}={original.get(name)!r}" for name in wrong)
        raise ModelUnusable(f"config.json describes another architecture than ChatGLM2's ({shown}).")


def _refuse_broken_fields(original: Mapping[str, Any]) -> None:
    for name in _NUMBERS:
        if name not in original:
            raise ModelUnusable(f"config.json has no {name}; it is not a ChatGLM2 model's.")
        value = original[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise ModelUnusable(f"config.json says {name}={value!r}, which must be a positive number.")
    ratio = original.get("rope_ratio")
    if ratio is not None and (isinstance(ratio, bool) or not isinstance(ratio, int | float) or ratio <= 0):
        raise ModelUnusable(f"config.json says rope_ratio={ratio!r}, which must be a positive number.")


def _rope(ratio: float) -> dict[str, Any]:
    """ChatGLM2-6B-32k divides the positions by its ratio; ChatGLM3, which is refused, multiplies theta by it."""
    turned: dict[str, Any] = {"rope_theta": _ROPE_THETA, "partial_rotary_factor": 0.5}
    return turned | ({"rope_type": "default"} if ratio == 1 else {"rope_type": "linear", "factor": float(ratio)})


def _given(original: Mapping[str, Any], name: str, default: int) -> Any:
    value = original.get(name)
    return default if value is None else value
