"""Fine-tuning in ChatGLM2's own format: what is trained there is served by the worker."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.worker.engine import chatglm2
from training import release, reward, sft, student
from training.comparisons import Comparisons
from training.data.preferences import Preference, write_preferences
from training.recipe import AnyRecipe, Lora, RewardRecipe, SftRecipe
from worker.engine.assemble import assemble
from worker.engine.batched import Batched
from worker.engine.port import Request
from worker.settings import WorkerSettings

PEFT_IS_BEHIND = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@PEFT_IS_BEHIND
def test_an_adapter_trained_on_chatglm2_is_served_by_its_setting(tmp_path: Path, corpus_directory: Path) -> None:
    model = chatglm2.write(tmp_path / "chatglm2")
    recipe = SftRecipe(
        lora=Lora(rank=8),
        precision="float32",
        device="cpu",
        threads=1,
        hours=None,
        steps=30,
        rows=2,
        length=512,
        rate=2e-2,
        warmup=2,
        decay=0.5,
        measured=2,
    )
    sft.tune(tmp_path / "run", model=model, data=corpus_directory, recipe=recipe, is_resumed=False, say=lambda _: None)
    adapter = tmp_path / "run" / student.ADAPTER
    assert all("lora" in name for name in load_file(adapter / "adapter_model.safetensors"))

    def first_words(with_adapter: Path | None) -> str:
        torch.manual_seed(0)
        settings = WorkerSettings(
            model=str(model),
            adapter=str(with_adapter) if with_adapter else None,
            dtype="float32",
            threads=1,
            top_k=1,
        )
        engine = Batched(lambda: assemble(settings, capacity=1), capacity=1)
        engine.start()
        try:
            request = Request(
                id="1",
                instruction=settings.instruction,
                history=(),
                text="我最近睡不着。",
                max_tokens=12,
                deadline_seconds=60,
            )
            return [progress.text for progress in engine.stream(request)][-1]
        finally:
            engine.stop()

    assert first_words(adapter) != first_words(None)


def test_a_whole_model_tuned_from_chatglm2_is_reopened_with_equal_numbers(
    tmp_path: Path, corpus_directory: Path
) -> None:
    model = chatglm2.write(tmp_path / "chatglm2")
    recipe = short(SftRecipe)
    sft.tune(tmp_path / "run", model=model, data=corpus_directory, recipe=recipe, is_resumed=False, say=lambda _: None)
    tuned = tmp_path / "run" / student.MODEL
    state = torch.load(tmp_path / "run/state.pt", weights_only=True)["learner"]["masters"]
    reopened = release.read(tuned, dtype=torch.bfloat16, device=torch.device("cpu"))
    for name, weights in reopened.named_parameters():
        assert torch.equal(weights, state[name].to(torch.bfloat16))
    settings = WorkerSettings(model=str(tuned), threads=1)
    loaded = assemble(settings, capacity=1)
    original = assemble(WorkerSettings(model=str(model), threads=1), capacity=1)
    request = Request(id="1", instruction="好", history=(), text="[gMASK] 我\n睡不着", max_tokens=4, deadline_seconds=9)
    assert loaded.prompter.ids(request) == original.prompter.ids(request)
    assert loaded.stop_ids == original.stop_ids


def test_a_whole_reward_model_from_chatglm2_is_reopened_and_judges_alike(tmp_path: Path) -> None:
    model = chatglm2.write(tmp_path / "chatglm2")
    compared = tmp_path / "compared.jsonl.gz"
    one = Preference(history=(), text="睡不着", chosen="多久了？", rejected="好", origin="test")
    write_preferences(compared, [one] * 4)
    recipe = short(RewardRecipe)
    found = reward.train_reward(
        tmp_path / "run",
        model=model,
        learned=[compared],
        held_out=[compared],
        recipe=recipe,
        is_resumed=False,
        say=lambda _: None,
    )
    assert found["accuracy"] == 1
    reopened = reward.load_reward(tmp_path / "run", model, recipe, device=torch.device("cpu"))
    sets = Comparisons([one], reopened.pupil.encoder, rows=1, length=512, pad_id=reopened.pupil.pad_id, seed=0)
    assert reward.accuracy(reopened, sets)["loss"] == pytest.approx(found["loss"], abs=0.05)  # bfloat16


def short(kind: type[AnyRecipe]) -> AnyRecipe:
    """Four steps over the whole model."""
    return kind.model_validate(
        {
            "lora": None,
            "precision": "float32",
            "device": "cpu",
            "threads": 1,
            "hours": None,
            "steps": 4,
            "rows": 2,
            "length": 512,
            "rate": 1e-3,
            "warmup": 1,
            "measured": 2,
        }
    )
