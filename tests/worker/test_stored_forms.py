"""However a checkpoint is stored, and whatever family it is of, it computes what its own code does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    Glm4Config,
    Glm4ForCausalLM,
    GlmConfig,
    GlmForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.worker.engine import chatglm2
from tests.worker.test_model_template import SIZES, write_tokenizer
from worker.engine.assemble import assemble
from worker.engine.runner import Runner
from worker.engine.runner_input import RunnerInput
from worker.engine.sizing import BLOCK_SIZE
from worker.model.examine import examine
from worker.model.load import load_model
from worker.settings import WorkerSettings

IDS = chatglm2.prompt(60)


def as_safetensors(directory: Path, held: dict[str, Tensor]) -> None:
    save_file(held, directory / "model.safetensors")


def as_shards(directory: Path, held: dict[str, Tensor]) -> None:
    named = list(held.items())
    index: dict[str, str] = {}
    for number, part in enumerate((named[::2], named[1::2]), start=1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file(dict(part), directory / file)
        index |= {name: file for name, _ in part}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def as_pickle(directory: Path, held: dict[str, Tensor]) -> None:
    torch.save(held, directory / "pytorch_model.bin")


def as_old_pickle(directory: Path, held: dict[str, Tensor]) -> None:
    torch.save(held, directory / "pytorch_model.bin", _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("store", [as_safetensors, as_shards, as_pickle, as_old_pickle])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_weights_are_read_however_they_are_stored(
    tmp_path: Path, store: Callable[[Path, dict[str, Tensor]], None], dtype: torch.dtype
) -> None:
    directory = chatglm2.write(tmp_path / "model")
    for file in directory.glob("pytorch_model*"):
        file.unlink()
    store(directory, {name: tensor.to(dtype) for name, tensor in chatglm2.weights().items()})
    config = chatglm2.CONFIG | {"torch_dtype": str(dtype).removeprefix("torch.")}
    (directory / "config.json").write_text(json.dumps(config))
    assert (logits(directory) - chatglm2.forward(IDS)).abs().max() < 1e-4


def test_bfloat16_is_read_as_it_was_stored(tmp_path: Path) -> None:
    directory = chatglm2.write(tmp_path / "model")
    for file in directory.glob("pytorch_model*"):
        file.unlink()
    held = {name: tensor.bfloat16() for name, tensor in chatglm2.weights().items()}
    save_file(held, directory / "model.safetensors")
    assert (logits(directory) - chatglm2.forward(IDS, changed=held)).abs().max() < 1e-4


@pytest.mark.parametrize(
    "field", ["eos_token_id", "pad_token_id", "torch_dtype", "original_rope", "tie_word_embeddings"]
)
def test_a_field_that_older_files_lack_is_not_missed(tmp_path: Path, field: str) -> None:
    directory = chatglm2.write(tmp_path / "model")
    config = {name: value for name, value in chatglm2.CONFIG.items() if name != field}
    (directory / "config.json").write_text(json.dumps(config))
    assert (logits(directory) - chatglm2.forward(IDS)).abs().max() < 1e-4


def logits(directory: Path) -> Tensor:
    model: Any = load_model(examine(directory), dtype="float32", device=torch.device("cpu"))
    with torch.inference_mode():
        result: Tensor = model(torch.tensor([IDS])).logits[0]
    return result


OTHERS = {
    "Llama": (LlamaForCausalLM, LlamaConfig, {}),
    "Qwen3": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 16}),
    "GLM-4-9B": (GlmForCausalLM, GlmConfig, {"head_dim": 8, "attention_bias": True}),
    "GLM-4-0414": (Glm4ForCausalLM, Glm4Config, {"head_dim": 8}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_families_are_batched_exactly(tmp_path: Path, name: str) -> None:
    make, configure, more = OTHERS[name]
    size = write_tokenizer(tmp_path)
    torch.manual_seed(3)
    special = {"vocab_size": size, "eos_token_id": size - 1, "pad_token_id": 0}
    model: Any = make(configure(**(SIZES | special | more)))
    model.save_pretrained(tmp_path)
    ids = [number * 37 % size for number in range(40)]
    with torch.inference_mode():
        expected = model.eval()(torch.tensor([ids])).logits[0, -1]
    settings = WorkerSettings(model=str(tmp_path), device="cpu", dtype="float32", threads=1)
    loaded = assemble(settings, capacity=1)
    assert loaded.prompter.version == "template"
    assert loaded.stop_ids == {size - 1}
    runner = loaded.runner
    assert isinstance(runner, Runner)
    blocks = [5, 3, 8]
    assert len(blocks) * BLOCK_SIZE >= len(ids)
    for start, stop in ((0, 17), (17, 39), (39, 40)):
        found = runner.logits([RunnerInput(ids[start:stop], start, blocks, needs_token=True)])
    assert (found[0] - expected).abs().max() < 1e-4
