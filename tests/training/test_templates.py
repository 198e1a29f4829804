"""Models with a chat template of their own are trained on the prompt that the worker sends them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    Glm4Config,
    Glm4ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from dialogue.process.settings import INSTRUCTION
from tests.worker.test_model_template import SIZES, write_tokenizer
from training import reward, sft, student
from training.data.degradations import synthetic
from training.data.dialogue import read_dialogues
from training.data.preferences import write_preferences
from training.data.windows import single
from training.recipe import RewardRecipe, SftRecipe
from training.trouble import TrainingTrouble
from worker.engine.port import Request
from worker.engine.prompter import build_prompter
from worker.instructions import HONEST
from worker.model.examine import examine
from worker.model.load import load_model

FAMILIES: dict[str, tuple[Any, Any]] = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
    "llama": (LlamaConfig, LlamaForCausalLM),
    "glm4": (Glm4Config, Glm4ForCausalLM),
}
MACHINE: dict[str, Any] = {"precision": "float32", "device": "cpu", "threads": 1, "hours": None, "log_steps": 5}
CPU = torch.device("cpu")

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model of a family, whose configuration lists another end before the one of its template."""
    config, kind = FAMILIES[request.param]
    directory = tmp_path_factory.mktemp(request.param)
    size = write_tokenizer(directory)
    sizes = SIZES | {"head_dim": 8, "max_position_embeddings": 2048}
    torch.manual_seed(3)
    whole = kind(config(**sizes, vocab_size=size, eos_token_id=[0, size - 1], pad_token_id=0))
    whole.save_pretrained(directory)
    return directory


def tune(model: Path, target: Path, data: Path, **changes: Any) -> None:
    recipe = SftRecipe(**MACHINE, **{"steps": 2, "rows": 1, "length": 768, "measured": 1, "rate": 3e-3, **changes})
    sft.tune(target, model=model, data=data, recipe=recipe, is_resumed=False, say=lambda _: None)


def test_what_is_learned_is_what_the_worker_sends(model: Path, corpus_directory: Path) -> None:
    pupil = student.load(model, SftRecipe(**MACHINE), device=CPU)
    prompter = build_prompter(examine(model), style="seed", vocabulary_size=1000, context=2048)
    (dialogue, *_) = read_dialogues(corpus_directory / "held_out.jsonl.gz")
    *_, window = single(dialogue, instruction=INSTRUCTION)
    *history, last = window.exchanges
    served = prompter.ids(
        Request(id="1", instruction=HONEST, history=tuple(history), text=last.text, max_tokens=9, deadline_seconds=9)
    )
    found = pupil.encoder.encode(window)
    assert found.ids[: len(served)] == served
    learned = found.ids[len(served) :]
    assert prompter.tokenizer.text(learned[:-1]) == last.reply
    assert learned[-1] == prompter.tokenizer.id_of("<|im_end|>")
    assert [part for part in found.parts if part] == [3] * len(learned)


def test_an_adapter_on_every_matrix_is_served_as_it_was_trained(
    model: Path, corpus_directory: Path, tmp_path: Path
) -> None:
    tune(model, tmp_path, corpus_directory)
    adapter = tmp_path / student.ADAPTER
    named = set(json.loads((adapter / "adapter_config.json").read_text())["target_modules"])
    assert {"q_proj", "k_proj", "v_proj", "o_proj", "down_proj"} < named
    assert "lm_head" not in named
    served, plain = (load_model(examine(model), dtype="float32", device=CPU, adapter=one) for one in (adapter, None))
    trained = student.load(model, SftRecipe(**MACHINE, lora=None), device=CPU, adapter=adapter).model
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        logits = [whole(ids).logits for whole in (served, plain)]
        mask = torch.full((1, 1, 37, 37), -torch.inf).triu(1)
        expected = trained(ids, attention_mask=mask).logits
    torch.testing.assert_close(logits[0], expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(logits[0], logits[1], atol=1e-3)


only_qwen2 = pytest.mark.parametrize("model", ["qwen2"], indirect=True)
"""What does not depend on the family."""


@only_qwen2
def test_a_whole_model_is_saved_with_its_template_and_reopened(
    model: Path, corpus_directory: Path, tmp_path: Path
) -> None:
    tune(model, tmp_path, corpus_directory, lora=None, rate=1e-3)
    saved = examine(tmp_path / student.MODEL)
    assert saved.chat_template == examine(model).chat_template
    again = student.load(tmp_path / student.MODEL, SftRecipe(**MACHINE), device=CPU)
    assert again.encoder.end_id == student.load(model, SftRecipe(**MACHINE), device=CPU).encoder.end_id


@only_qwen2
def test_a_reward_model_grows_on_it(model: Path, corpus_directory: Path, tmp_path: Path) -> None:
    compared = tmp_path / "compared.jsonl.gz"
    write_preferences(compared, synthetic(read_dialogues(corpus_directory / "train.jsonl.gz"), count=4, seed=1))
    found = reward.train_reward(
        tmp_path / "run",
        model=model,
        learned=[compared],
        held_out=[compared],
        recipe=RewardRecipe(**MACHINE, steps=1, rows=2, length=2048),
        is_resumed=False,
        say=lambda _: None,
    )
    assert 0 <= found["accuracy"] <= 1


def test_a_model_without_a_template_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    size = write_tokenizer(directory)
    whole: Any = Qwen2ForCausalLM(Qwen2Config(**SIZES, vocab_size=size, eos_token_id=size - 1))
    whole.save_pretrained(directory)
    (directory / "tokenizer_config.json").write_text("{}")
    with pytest.raises(TrainingTrouble, match="no chat template"):
        student.load(directory, SftRecipe(**MACHINE), device=CPU)
