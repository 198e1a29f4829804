"""ChatGLM2's original on-disk format on transformers' native GLM classes: renames and one split, no arithmetic.

Every field of the original configuration that changes the mathematics is read or refused here, none is guessed.
"""

from collections.abc import Mapping
from typing import Any

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
_IF_GIVEN = {
    "original_rope": True,
    "fp32_residual_connection": False,
    "pre_seq_len": None,
    "prefix_projection": False,
    "quantization_bit": 0,
}
_PROJECTIONS = ("q_proj", "k_proj", "v_proj")
_ROPE_THETA = 10_000.0


class ChatGLM2ForCausalLM(GlmForCausalLM):  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    """GLM under the name that the conversion is registered for; equal to `GlmForCausalLM` once loaded."""

    _keys_to_ignore_on_load_unexpected = [r"rotary_pos_emb\.inv_freq"]  # noqa: RUF012  # transformers' own form


def native_config(original: Mapping[str, Any]) -> GlmConfig:
    """The GLM configuration that computes what `original` (a ChatGLM2 ``config.json``) does. Raises `ModelUnusable`."""
    _refuse_other_mathematics(original)
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
            rope_parameters={
                "rope_type": "default",
                "rope_theta": _ROPE_THETA * original.get("rope_ratio", 1),
                "partial_rotary_factor": 0.5,
            },
            attention_bias=True,
            tie_word_embeddings=original.get("tie_word_embeddings", False),
            eos_token_id=original.get("eos_token_id", 2),
            pad_token_id=original.get("pad_token_id", 0),
        )
    except KeyError as missing:
        raise ModelUnusable(f"config.json has no {missing}; it is not a ChatGLM2 model's.") from missing


def register_conversion() -> None:
    """Tell transformers how to read ChatGLM2's weights; a second call changes nothing."""
    register_checkpoint_conversion_mapping(ChatGLM2ForCausalLM.__name__, _conversion(), overwrite=True)


def _conversion() -> list[WeightRenaming | WeightConverter]:
    renames = {
        "transformer.embedding.word_embeddings": "model.embed_tokens",
        "transformer.encoder.final_layernorm": "model.norm",
        "transformer.output_layer": "lm_head",
        "transformer.encoder.layers": "model.layers",
        "self_attention.dense": "self_attn.o_proj",
        "mlp.dense_h_to_4h": "mlp.gate_up_proj",
        "mlp.dense_4h_to_h": "mlp.down_proj",
    }
    splits = (
        WeightConverter(
            f"self_attention.query_key_value.{kind}",
            [f"self_attn.{name}.{kind}" for name in _PROJECTIONS],
            operations=[Split(dim=0)],
        )
        for kind in ("weight", "bias")
    )
    return [*(WeightRenaming(old, new) for old, new in renames.items()), *splits]


def _refuse_other_mathematics(original: Mapping[str, Any]) -> None:
    if original.get("quantization_bit"):
        raise ModelUnusable(
            f"The weights are quantised to {original['quantization_bit']} bits (quantization_bit). "
            "Take the full-precision weights of the same model."
        )
    if original.get("pre_seq_len"):
        raise ModelUnusable(
            "The directory holds a P-tuning checkpoint (pre_seq_len), not a whole model. "
            "Merge it into its base model first, or take the merged weights."
        )
    expected = _REQUIRED | {name: value for name, value in _IF_GIVEN.items() if name in original}
    wrong = [name for name, value in expected.items() if original.get(name) != value]
    if wrong:
        shown = ", ".join(f"{name}={original.get(name)!r}" for name in wrong)
        raise ModelUnusable(f"config.json describes another architecture than ChatGLM2's ({shown}).")
