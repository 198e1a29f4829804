"""A tiny checkpoint in ChatGLM2's original on-disk format, and an independent reading of it in plain torch.

`forward` follows the published architecture, written from its description alone: it shares no code with what it
checks. Weights come from a fixed seed, so every run sees the same numbers.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from torch import Tensor
from torch.nn.functional import silu

CONFIG: dict[str, Any] = {
    "model_type": "chatglm",
    "architectures": ["ChatGLMModel"],
    "auto_map": {"AutoModelForCausalLM": "modeling_chatglm.ChatGLMForConditionalGeneration"},
    "add_bias_linear": False,
    "add_qkv_bias": True,
    "apply_query_key_layer_scaling": True,
    "apply_residual_connection_post_layernorm": False,
    "attention_softmax_in_fp32": True,
    "ffn_hidden_size": 88,
    "fp32_residual_connection": False,
    "hidden_size": 32,
    "kv_channels": 8,
    "layernorm_epsilon": 1e-05,
    "multi_query_attention": True,
    "multi_query_group_num": 2,
    "num_attention_heads": 4,
    "num_layers": 2,
    "original_rope": True,
    "padded_vocab_size": 640,
    "post_layer_norm": True,
    "rmsnorm": True,
    "seq_length": 512,
    "use_cache": True,
    "torch_dtype": "float16",
    "tie_word_embeddings": False,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_SENTENCES = (
    "我最近总是失眠，白天没有精神。",
    "听起来你很累，愿意多说一些吗？",
    "求助者:我和父母吵架了，心里很难受。支持者:",
    "你可以慢慢说，我在这里听着你。",
    "问：今天怎么样？\n\n答：还好，谢谢你的关心！",
    "I feel tired, and I do not know why.",
)


def weights() -> dict[str, Tensor]:
    """Random float16 weights under ChatGLM2's names."""
    generator = torch.Generator().manual_seed(7)
    hidden, ffn, vocabulary = CONFIG["hidden_size"], CONFIG["ffn_hidden_size"], CONFIG["padded_vocab_size"]
    qkv = (CONFIG["num_attention_heads"] + 2 * CONFIG["multi_query_group_num"]) * CONFIG["kv_channels"]

    def random(*shape: int, scale: float = 0.15) -> Tensor:
        return (torch.randn(*shape, generator=generator) * scale).half()

    def norm() -> Tensor:
        return 1 + random(hidden, scale=0.2)

    made = {
        "transformer.embedding.word_embeddings.weight": random(vocabulary, hidden, scale=1.0),
        "transformer.rotary_pos_emb.inv_freq": torch.ones(2).half(),
        "transformer.encoder.final_layernorm.weight": norm(),
        "transformer.output_layer.weight": random(vocabulary, hidden, scale=0.6),
    }
    for number in range(CONFIG["num_layers"]):
        layer = f"transformer.encoder.layers.{number}"
        made |= {
            f"{layer}.input_layernorm.weight": norm(),
            f"{layer}.post_attention_layernorm.weight": norm(),
            f"{layer}.self_attention.query_key_value.weight": random(qkv, hidden),
            f"{layer}.self_attention.query_key_value.bias": random(qkv),
            f"{layer}.self_attention.dense.weight": random(hidden, hidden),
            f"{layer}.mlp.dense_h_to_4h.weight": random(2 * ffn, hidden),
            f"{layer}.mlp.dense_4h_to_h.weight": random(hidden, ffn),
        }
    return made


def write(directory: Path) -> Path:
    """The checkpoint as it is published: two pickled shards with an index, config.json, tokenizer.model."""
    directory.mkdir(parents=True, exist_ok=True)
    named = list(weights().items())
    shards = {"pytorch_model-00001-of-00002.bin": named[::2], "pytorch_model-00002-of-00002.bin": named[1::2]}
    for name, part in shards.items():
        torch.save(dict(part), directory / name)
    index = {"metadata": {}, "weight_map": {key: name for name, part in shards.items() for key, _ in part}}
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (directory / "config.json").write_text(json.dumps(CONFIG))
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ChatGLMTokenizer"}))
    (directory / "tokenizer.model").write_bytes(tokenizer_model())
    return directory


def tokenizer_model() -> bytes:
    """A small sentencepiece BPE with ChatGLM2's options: bytes for what is unknown, nothing normalised."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_SENTENCES * 3),
        model_writer=written,
        model_type="bpe",
        vocab_size=480,
        byte_fallback=True,
        add_dummy_prefix=True,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    return written.getvalue()


def forward(
    ids: Sequence[int],
    *,
    changed: dict[str, Tensor] | None = None,
    rope_ratio: float = 1,
    prefix: Tensor | None = None,
) -> Tensor:
    """The logits at every position, [tokens, vocabulary], in float32.

    `changed` weights replace the usual ones; positions are divided by `rope_ratio`, as ChatGLM2-6B-32k does.
    `prefix` holds keys and values of virtual tokens, [virtual tokens, layers, 2, groups, width].
    """
    held = {name: value.float() for name, value in (weights() | (changed or {})).items()}
    hidden = held["transformer.embedding.word_embeddings.weight"][torch.tensor(ids)]
    for number in range(CONFIG["num_layers"]):
        layer = f"transformer.encoder.layers.{number}"
        normed = _rms_norm(hidden, held[f"{layer}.input_layernorm.weight"])
        qkv = normed @ held[f"{layer}.self_attention.query_key_value.weight"].T
        qkv = qkv + held[f"{layer}.self_attention.query_key_value.bias"]
        hidden = (
            hidden
            + _attend(qkv, rope_ratio, None if prefix is None else prefix[:, number])
            @ held[f"{layer}.self_attention.dense.weight"].T
        )
        normed = _rms_norm(hidden, held[f"{layer}.post_attention_layernorm.weight"])
        gate, up = (normed @ held[f"{layer}.mlp.dense_h_to_4h.weight"].T).chunk(2, dim=-1)
        hidden = hidden + (silu(gate) * up) @ held[f"{layer}.mlp.dense_4h_to_h.weight"].T
    normed = _rms_norm(hidden, held["transformer.encoder.final_layernorm.weight"])
    return normed @ held["transformer.output_layer.weight"].T


def greedy(ids: Sequence[int], count: int) -> list[int]:
    """The likeliest continuation, computed anew for every token."""
    written = list(ids)
    for _ in range(count):
        written.append(int(forward(written)[-1].argmax()))
    return written[len(ids) :]


def prompt(length: int) -> list[int]:
    """Some ids, the same for every call; longer prompts begin with the shorter ones."""
    drawn = torch.randint(3, CONFIG["padded_vocab_size"], (length,), generator=torch.Generator().manual_seed(11))
    return [int(id_) for id_ in drawn]


def _rms_norm(values: Tensor, weight: Tensor) -> Tensor:
    scale: Tensor = (values.square().mean(dim=-1, keepdim=True) + CONFIG["layernorm_epsilon"]).rsqrt()
    return values * scale * weight


def _attend(qkv: Tensor, rope_ratio: float, prefix: Tensor | None) -> Tensor:
    heads, groups, width = CONFIG["num_attention_heads"], CONFIG["multi_query_group_num"], CONFIG["kv_channels"]
    tokens = len(qkv)
    query, key, value = torch.split(qkv, [heads * width, groups * width, groups * width], dim=-1)
    query = _rotate(query.view(tokens, heads, width), rope_ratio)
    key = _rotate(key.view(tokens, groups, width), rope_ratio)
    value = value.view(tokens, groups, width)
    future = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
    if prefix is not None:
        key, value = torch.cat((prefix[:, 0], key)), torch.cat((prefix[:, 1], value))
        future = torch.cat((torch.zeros(tokens, len(prefix), dtype=torch.bool), future), dim=1)
    mixed = []
    for head in range(heads):
        group = head // (heads // groups)
        scores = query[:, head] @ key[:, group].T / width**0.5
        mixed.append(scores.masked_fill(future, float("-inf")).softmax(dim=-1) @ value[:, group])
    return torch.cat(mixed, dim=-1)


def _rotate(vectors: Tensor, rope_ratio: float) -> Tensor:
    """Rotary positions on the first half of each head, neighbours as pairs: [tokens, heads, width]."""
    tokens, _, width = vectors.shape
    turned = width // 2
    frequency = 10_000.0 ** (-torch.arange(0, turned, 2) / turned)
    angle = (torch.arange(tokens) / rope_ratio)[:, None, None] * frequency
    left, right = vectors[..., 0:turned:2], vectors[..., 1:turned:2]
    rotated = torch.stack(
        (left * angle.cos() - right * angle.sin(), right * angle.cos() + left * angle.sin()), dim=-1
    ).flatten(-2)
    return torch.cat((rotated, vectors[..., turned:]), dim=-1)
