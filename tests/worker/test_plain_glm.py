"""GLM's weights read without transformers are those that transformers reads; whatever else there is, is left to it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GlmConfig, GlmForCausalLM

from worker.engine import assemble
from worker.engine.runner import Runner
from worker.engine.runner_input import RunnerInput
from worker.engine.sampling import Sampler, Sampling
from worker.model.examine import examine
from worker.model.find import BUNDLED
from worker.model.hardware import HUGE_PAGES
from worker.model.load import load_model
from worker.model.plain_glm import PlainGlm, load_plain
from worker.settings import WorkerSettings

SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "eos_token_id": 2,
}
IDS = list(range(3, 40))


def written(directory: Path, **changes: Any) -> Path:
    torch.manual_seed(5)
    model = GlmForCausalLM(GlmConfig(**(SIZES | changes)))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    model.save_pretrained(directory)
    return directory


def logits(model: Any) -> Tensor:
    sampler = Sampler(Sampling(temperature=1, top_p=1, top_k=1), device=model.device)
    runner = Runner(model, sampler=sampler, block_count=8, block_size=16)
    return runner.logits([RunnerInput(tokens=IDS, start=0, blocks=[0, 1, 2], needs_token=True)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": True}, {"attention_bias": False}])
def test_it_computes_what_transformers_weights_compute(
    tmp_path: Path, changes: dict[str, Any], dtype: torch.dtype
) -> None:
    directory = written(tmp_path, **changes)
    plain = load_plain(examine(directory), dtype=dtype)
    assert plain is not None
    assert plain.dtype is dtype
    by_library = load_model(examine(directory), dtype=str(dtype).removeprefix("torch."), device=torch.device("cpu"))
    assert torch.equal(logits(plain), logits(by_library))


def test_the_bundled_model_is_read_so_by_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    prepared = assemble.prepare_model

    def prepare(examined: Any, model: Any, settings: WorkerSettings, *, capacity: int) -> Any:
        seen.append(model)
        return prepared(examined, model, settings, capacity=capacity)

    monkeypatch.setattr(assemble, "prepare_model", prepare)
    monkeypatch.delenv(HUGE_PAGES, raising=False)
    settings = WorkerSettings(device="cpu", retrieval=False)
    loaded = assemble.assemble(settings, capacity=1)
    assert os.environ[HUGE_PAGES] == "1"
    _, by_library = assemble.open_model(settings)
    expected = prepared(examine(BUNDLED), by_library, settings, capacity=1)
    assert isinstance(seen[0], PlainGlm)
    assert (loaded.stop_ids, loaded.guidance, loaded.model_version) == (
        expected.stop_ids,
        expected.guidance,
        expected.model_version,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "llama"},
        {"hidden_act": "gelu"},
        {"quantization_config": {"bits": 4}},
        {"head_dim": None},
        {"rope_parameters": None},
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0, "partial_rotary_factor": 0.5}},
        {"num_hidden_layers": 3},
        {"vocab_size": 97},
    ],
)
def test_what_is_not_in_the_plainest_form_is_left_to_transformers(tmp_path: Path, changes: dict[str, Any]) -> None:
    directory = written(tmp_path)
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert load_plain(examine(directory), dtype=torch.float32) is None


def test_weights_that_are_lacking_or_of_another_name_are_left_to_transformers(tmp_path: Path) -> None:
    weights = load_file(written(tmp_path) / "model.safetensors")
    for changed in (
        {name: weight for name, weight in weights.items() if name != "model.norm.weight"},
        weights | {"model.other.weight": torch.zeros(1)},
    ):
        save_file(changed, tmp_path / "model.safetensors")
        assert load_plain(examine(tmp_path), dtype=torch.float32) is None
