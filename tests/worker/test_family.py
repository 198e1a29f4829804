"""Checkpoints of the family as people have them load and compute as their publisher's code does, or say why not.

What is expected comes from tests/worker/engine/chatglm2.py, which shares no code with what it checks.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from dialogue.errors import Misconfigured
from tests.worker.engine import chatglm2
from worker.engine.choose import build
from worker.engine.port import ModelUnusable
from worker.model.convert import convert
from worker.model.examine import examine
from worker.model.hardware import choose_device
from worker.model.load import load_model
from worker.settings import WorkerSettings

IDS = chatglm2.prompt(60)
PEFT_IS_BEHIND = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
LAYER = "transformer.encoder.layers.{}"
LINEARS = (
    "self_attention.query_key_value",
    "self_attention.dense",
    "mlp.dense_h_to_4h",
    "mlp.dense_4h_to_h",
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return chatglm2.write(tmp_path / "model")


def load(directory: Path, **options: Any) -> PreTrainedModel:
    return load_model(examine(directory), dtype="float32", device=torch.device("cpu"), **options)


def logits(model: PreTrainedModel) -> Tensor:
    with torch.inference_mode():
        result: Tensor = model(torch.tensor([IDS])).logits[0]
    return result


def change_config(directory: Path, **changes: Any) -> None:
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_32k_model_divides_its_positions(directory: Path, tmp_path: Path) -> None:
    change_config(directory, rope_ratio=16)
    expected = chatglm2.forward(IDS, rope_ratio=16)
    assert (logits(load(directory)) - expected).abs().max() < 1e-4
    assert (expected - chatglm2.forward(IDS)).abs().max() > 1e-2
    convert(directory, tmp_path / "converted")
    assert (logits(load(tmp_path / "converted")) - expected).abs().max() < 1e-4


@pytest.mark.parametrize(
    "fields",
    [
        {"rope_ratio": None},
        {"rope_ratio": 1},
        {"quantization_bit": None},
        {"quantization_bit": 0},
        {"pre_seq_len": None},
        {"pre_seq_len": 0},
        {"pre_seq_len": None, "prefix_projection": True},
        {"eos_token_id": None, "pad_token_id": None},
        {"original_rope": None},
        {"tie_word_embeddings": None},
        {"torch_dtype": None},
        {"_name_or_path": "THUDM/chatglm2-6b"},
    ],
    ids=str,
)
def test_empty_fields_change_nothing(directory: Path, fields: dict[str, Any]) -> None:
    change_config(directory, **fields)
    model = load(directory)
    assert (logits(model) - chatglm2.forward(IDS)).abs().max() < 1e-4
    assert model.config.eos_token_id == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hidden_size": "many"}, "hidden_size='many'"),
        ({"num_layers": 0}, "num_layers=0"),
        ({"kv_channels": None}, "kv_channels=None"),
        ({"layernorm_epsilon": -1}, "layernorm_epsilon=-1"),
        ({"rope_ratio": "16"}, "rope_ratio='16'"),
        ({"quantization_bit": 3}, "quantization_bit=3"),
        ({"eos_token_id": "two"}, "config.json"),
        ({"pre_seq_len": 128}, "P-tuning prefix.*MINDGLM_ENGINE=transformers"),
        ({"fp32_residual_connection": True}, "fp32_residual_connection=True"),
        ({"_name_or_path": "THUDM/chatglm3-6b"}, "ChatGLM3.*vLLM"),
    ],
    ids=str,
)
def test_what_cannot_be_loaded_is_said_in_one_line(directory: Path, fields: dict[str, Any], said: str) -> None:
    change_config(directory, **fields)
    with pytest.raises(ModelUnusable, match=said) as refused:
        load(directory)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("file", ["tokenization_chatglm.py", "tokenizer_config.json"])
def test_chatglm3_is_known_by_its_tokenizer(directory: Path, file: str) -> None:
    (directory / file).write_text(json.dumps({"added_tokens": ["<|system|>", "<|user|>"]}))
    with pytest.raises(ModelUnusable, match="ChatGLM3"):
        load(directory)


def quantised(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """As the publisher describes it: scaled by the row's largest number, rounded; two to a byte with four bits."""
    scale = (weight.float().abs().amax(dim=1) / (2 ** (bits - 1) - 1)).half()
    rounded = (weight.float() / scale.float()[:, None]).round().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if bits == 8:
        return rounded.to(torch.int8), scale
    values = rounded.to(torch.int32)
    packed = [
        [(int(row[column]) & 15) << 4 | (int(row[column + 1]) & 15) for column in range(0, len(row), 2)]
        for row in values
    ]
    return torch.tensor(packed, dtype=torch.uint8).view(torch.int8), scale


def spread(stored: Tensor, scale: Tensor, bits: int) -> Tensor:
    """The numbers again, one by one."""
    if bits == 8:
        return stored.half() * scale[:, None]
    rows = [[half for byte in row for half in (byte >> 4 & 15, byte & 15)] for row in stored.view(torch.uint8).tolist()]
    signed = torch.tensor([[half - 16 if half > 7 else half for half in row] for row in rows])
    return signed.half() * scale[:, None]


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("is_pickle", [True, False], ids=["pickle", "safetensors"])
def test_original_quantised_checkpoints_are_read(directory: Path, tmp_path: Path, bits: int, is_pickle: bool) -> None:
    stored = chatglm2.weights()
    expected: dict[str, Tensor] = {}
    for number in range(chatglm2.CONFIG["num_layers"]):
        for linear in LINEARS:
            name = f"{LAYER.format(number)}.{linear}.weight"
            stored[name], stored[f"{name}_scale"] = quantised(stored[name], bits)
            expected[name] = spread(stored[name], stored[f"{name}_scale"], bits)
    for file in directory.glob("pytorch_model*"):
        file.unlink()
    if is_pickle:
        torch.save(stored, directory / "pytorch_model.bin")
    else:
        save_file(stored, directory / "model.safetensors")
    change_config(directory, quantization_bit=bits)
    reference = chatglm2.forward(IDS, changed=expected)
    assert (logits(load(directory)) - reference).abs().max() < 1e-4
    convert(directory, tmp_path / "converted")
    assert (logits(load(tmp_path / "converted")) - reference).abs().max() < 1e-4


def lora(linear: str, number: int, *, rank: int = 4) -> tuple[Tensor, Tensor]:
    held = chatglm2.weights()[f"{LAYER.format(number)}.{linear}.weight"]
    generator = torch.Generator().manual_seed(number + len(linear))
    a = torch.randn(rank, held.shape[1], generator=generator) * 0.1
    b = torch.randn(held.shape[0], rank, generator=generator) * 0.1
    return a, b


def write_original_adapter(directory: Path, linears: tuple[str, ...], *, is_pickle: bool = False) -> Path:
    """As PEFT saves what was trained on ChatGLM2's own modules: rank 4, alpha 8."""
    directory.mkdir()
    named: dict[str, Tensor] = {}
    for number in range(chatglm2.CONFIG["num_layers"]):
        for linear in linears:
            a, b = lora(linear, number)
            prefix = f"base_model.model.{LAYER.format(number)}.{linear}"
            named |= {f"{prefix}.lora_A.weight": a, f"{prefix}.lora_B.weight": b}
    if is_pickle:
        torch.save(named, directory / "adapter_model.bin")
    else:
        save_file(named, directory / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 4,
        "lora_alpha": 8,
        "lora_dropout": 0.1,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "base_model_name_or_path": "THUDM/chatglm2-6b",
        "target_modules": [linear.rpartition(".")[2] for linear in linears],
    }
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return directory


def with_lora(linears: tuple[str, ...], *, scale: float = 2.0, beside: Mapping[str, Tensor] | None = None) -> Tensor:
    """The reference with each weight W replaced by W + scale BA, and with other tensors `beside` them."""
    held = chatglm2.weights()
    changed = dict(beside or {})
    for number in range(chatglm2.CONFIG["num_layers"]):
        for linear in linears:
            name = f"{LAYER.format(number)}.{linear}.weight"
            a, b = lora(linear, number)
            changed[name] = held[name].float() + scale * b @ a
    return chatglm2.forward(IDS, changed=changed)


@PEFT_IS_BEHIND
@pytest.mark.parametrize(
    ("linears", "is_pickle"),
    [
        pytest.param(LINEARS[:1], True, id="query_key_value in a pickle, as in 2023"),
        pytest.param(LINEARS[:1], False, id="query_key_value"),
        pytest.param(LINEARS[2:3], False, id="dense_h_to_4h"),
        pytest.param(LINEARS, False, id="all four"),
    ],
)
def test_adapters_of_the_original_modules_are_merged(
    directory: Path, tmp_path: Path, linears: tuple[str, ...], is_pickle: bool
) -> None:
    adapter = write_original_adapter(tmp_path / "adapter", linears, is_pickle=is_pickle)
    expected = with_lora(linears)
    assert (expected - chatglm2.forward(IDS)).abs().max() > 1e-1
    assert (logits(load(directory, adapter=adapter)) - expected).abs().max() < 1e-3
    convert(directory, tmp_path / "converted")
    assert (logits(load(tmp_path / "converted", adapter=adapter)) - expected).abs().max() < 1e-3


@PEFT_IS_BEHIND
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda at: (at / "adapter_config.json").write_text("{"), "not JSON"),
        (lambda at: (at / "adapter_model.safetensors").unlink(), "no weights"),
        (lambda at: (at / "adapter_model.safetensors").write_bytes(b"short"), "cut short"),
        (lambda at: change_adapter(at, peft_type="PREFIX_TUNING"), "PREFIX_TUNING.*only LoRA"),
        (lambda at: change_adapter(at, target_modules=".*query_key_value"), "pattern"),
        (lambda at: change_weights(at, lambda name: name.replace("base_model.model.", "")), "12 parts have no place"),
        (lambda at: change_weights(at, lambda name: name.replace("layers.1.", "layers.9.")), "6 parts have no place"),
        (lambda at: change_weights(at, lambda name: name.replace(".lora_A", ".lora_X")), "parts have no place"),
        (lambda at: change_weights(at, lambda name: name if "layers.0" in name else ""), "6 parts have no weights"),
        (lambda at: change_weights(at, lambda name: name if "lora_A" in name else ""), "6 parts have no weights"),
        (lambda at: change_adapter(at, use_dora=True), "parts have no weights.*magnitude"),
        (lambda at: change_adapter(at, layers_to_transform=[0]), "6 parts have no place"),
        (lambda at: change_weights(at, lambda name: name, factor=math.nan), "numbers that are none"),
    ],
)
def test_what_is_wrong_with_an_adapter_is_named(
    directory: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    adapter = write_original_adapter(tmp_path / "adapter", LINEARS[:1])
    damage(adapter)
    with pytest.raises(ModelUnusable, match=said) as refused:
        load(directory, adapter=adapter)
    assert "\n" not in str(refused.value)


@PEFT_IS_BEHIND
def test_scaling_by_the_root_of_the_rank_is_kept(directory: Path, tmp_path: Path) -> None:
    adapter = write_original_adapter(tmp_path / "adapter", LINEARS[:1])
    change_adapter(adapter, use_rslora=True)
    expected = with_lora(LINEARS[:1], scale=8 / 4**0.5)
    assert (logits(load(directory, adapter=adapter)) - expected).abs().max() < 1e-3


@PEFT_IS_BEHIND
def test_learned_biases_are_divided_like_the_rest(directory: Path, tmp_path: Path) -> None:
    adapter = write_original_adapter(tmp_path / "adapter", LINEARS[:1])
    joined = "self_attention.query_key_value"
    biases = {
        f"{LAYER.format(number)}.{joined}.bias": torch.linspace(
            -1, 1, len(chatglm2.weights()[f"{LAYER.format(number)}.{joined}.bias"])
        )
        for number in range(chatglm2.CONFIG["num_layers"])
    }
    file = adapter / "adapter_model.safetensors"
    stored = {f"base_model.model.{name.replace('.bias', '.base_layer.bias')}": bias for name, bias in biases.items()}
    save_file(load_file(file) | stored, file)
    change_adapter(adapter, bias="lora_only")
    expected = with_lora(LINEARS[:1], beside=biases)
    assert (logits(load(directory, adapter=adapter)) - expected).abs().max() < 1e-3


def change_weights(directory: Path, rename: Callable[[str], str], *, factor: float = 1.0) -> None:
    """Under other names; what is renamed to nothing is left out."""
    file = directory / "adapter_model.safetensors"
    save_file({rename(name): tensor * factor for name, tensor in load_file(file).items() if rename(name)}, file)


def change_adapter(directory: Path, **changes: Any) -> None:
    file = directory / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("asked", "said"), [("gpu", "use auto, cpu"), ("cuda", "nvidia-smi"), ("cuda:7", "nvidia-smi")]
)
def test_a_device_that_is_not_there_is_refused_in_one_line(asked: str, said: str) -> None:
    if asked.startswith("cuda") and torch.cuda.is_available():
        asked, said = "cuda:99", "last CUDA GPU"
    with pytest.raises(ModelUnusable, match=said) as refused:
        choose_device(asked)
    assert "\n" not in str(refused.value)
    with pytest.raises(Misconfigured, match=said):
        build(WorkerSettings(device=asked))
