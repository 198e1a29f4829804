"""Each phase on a tiny model: that it learns, not only that it runs."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.training.conftest import TINY
from training import ppo, reward, sft, student
from training.core import checkpoint
from training.core.curves import PICTURE
from training.core.reports import EVENTS
from training.core.stopping import Stopped
from training.data import corpus
from training.data.degradations import synthetic
from training.data.preferences import write_preferences
from training.dpo import train_dpo
from training.pretrain import pretrain
from training.recipe import DpoRecipe, PpoRecipe, PretrainRecipe, RewardRecipe, SftRecipe
from training.rollouts import Drawn
from training.trouble import TrainingTrouble
from worker.model.examine import examine
from worker.model.load import load_model

PEFT_IS_BEHIND = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

MACHINE: dict[str, Any] = {"precision": "float32", "device": "cpu", "threads": 1, "hours": None, "log_steps": 5}


def quiet(_: str) -> None:
    """Progress is for people."""


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory, corpus_directory: Path) -> tuple[Path, Path]:
    """Comparisons to learn from and to measure with."""
    target = tmp_path_factory.mktemp("compared")
    read = corpus.load(corpus_directory)
    files = target / "train.jsonl.gz", target / "held_out.jsonl.gz"
    write_preferences(files[0], synthetic(read.train, count=160, seed=1))
    write_preferences(files[1], synthetic(read.held_out, count=40, seed=2))
    return files


def test_pretraining_lowers_the_loss_and_leaves_a_model_that_the_worker_loads(pretrained: Path) -> None:
    entries = checkpoint.read_log(pretrained)
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    assert losses[-1] < 0.4 * losses[0]
    held_out = [entry["held_out"] for entry in entries if "held_out" in entry]
    assert held_out[-1]["supporter"] < 0.7
    assert (pretrained / PICTURE).read_bytes().startswith(b"\x89PNG")
    assert list((pretrained / EVENTS).glob("events.*"))
    loaded = load_model(examine(pretrained / "model"), device=torch.device("cpu"))
    assert len(loaded.config.eos_token_id) == 2


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, corpus_directory: Path, tokenizer_directory: Path
) -> None:
    inputs: dict[str, Any] = {
        "data": corpus_directory,
        "tokenizer": tokenizer_directory,
        "source": None,
        "say": quiet,
    }
    small = {**TINY, "hours": None, "warmup": 2, "decay": 0.0, "measured": 1, "length": 128}
    whole, half = tmp_path / "whole", tmp_path / "half"
    for target in (whole, half):
        target.mkdir()
    pretrain(whole, recipe=PretrainRecipe(**small, steps=6), is_resumed=False, **inputs)
    with pytest.raises(Stopped, match="--resume"):
        pretrain(
            half,
            recipe=PretrainRecipe(**small, steps=6, log_steps=3),
            is_resumed=False,
            **{**inputs, "say": lambda _: signal.raise_signal(signal.SIGTERM)},
        )
    pretrain(half, recipe=PretrainRecipe(**small, steps=6), is_resumed=True, **inputs)
    first, second = (load_file(target / "model" / "model.safetensors") for target in (whole, half))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_goes_on_from_published_weights(
    tmp_path: Path, pretrained: Path, corpus_directory: Path, tokenizer_directory: Path
) -> None:
    recipe = PretrainRecipe(**TINY, steps=1, hours=None, rate=1e-6, plain_rate=1e-9, measured=12)
    found = pretrain(
        tmp_path,
        data=corpus_directory,
        tokenizer=tokenizer_directory,
        recipe=recipe,
        source=pretrained / "model",
        is_resumed=False,
        say=quiet,
    )
    assert found["supporter"] < 0.7


@PEFT_IS_BEHIND
def test_an_adapter_learns_and_is_the_same_merged_and_attached(
    tmp_path: Path, pretrained: Path, corpus_directory: Path
) -> None:
    recipe = SftRecipe(**MACHINE, steps=12, rows=2, length=256, rate=5e-3, warmup=2, measured=12)
    sft.tune(tmp_path, model=pretrained / "model", data=corpus_directory, recipe=recipe, is_resumed=False, say=quiet)
    losses = [entry["loss"] for entry in checkpoint.read_log(tmp_path) if "loss" in entry]
    assert losses[-1] < losses[0]

    from peft import PeftModel

    base = load_model(examine(pretrained / "model"), dtype="float32", device=torch.device("cpu"))
    attached = PeftModel.from_pretrained(base, str(tmp_path / student.ADAPTER)).eval()
    merged = load_model(
        examine(pretrained / "model"),
        dtype="float32",
        device=torch.device("cpu"),
        adapter=tmp_path / student.ADAPTER,
    )
    ids = torch.arange(40)[None]
    with torch.no_grad():
        torch.testing.assert_close(attached(ids).logits, merged(ids).logits, rtol=1e-3, atol=1e-3)


def test_recomputed_activations_give_the_same_adapter(tmp_path: Path, pretrained: Path, corpus_directory: Path) -> None:
    found = []
    for is_recomputed in (False, True):
        target = tmp_path / str(is_recomputed)
        recipe = SftRecipe(
            **MACHINE, steps=2, rows=1, length=256, rate=5e-3, warmup=0, measured=1, recomputed=is_recomputed
        )
        sft.tune(target, model=pretrained / "model", data=corpus_directory, recipe=recipe, is_resumed=False, say=quiet)
        found.append(load_file(target / student.ADAPTER / "adapter_model.safetensors"))
    for name in found[0]:
        torch.testing.assert_close(found[0][name], found[1][name], rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory, pretrained: Path, compared: tuple[Path, Path]) -> Path:
    """A reward model."""
    target = tmp_path_factory.mktemp("reward")
    recipe = RewardRecipe(**MACHINE, lora=None, steps=40, rows=8, length=256, rate=3e-3, warmup=2)
    reward.train_reward(
        target,
        model=pretrained / "model",
        learned=[compared[0]],
        held_out=[compared[1]],
        recipe=recipe,
        is_resumed=False,
        say=quiet,
    )
    return target


def test_a_reward_model_prefers_what_people_wrote_in_comparisons_it_has_not_seen(judged: Path) -> None:
    (measured,) = [entry["held_out"] for entry in checkpoint.read_log(judged) if "held_out" in entry]
    assert measured["accuracy"] > 0.7


def test_ppo_raises_the_reward_and_stays_near_the_reference(
    tmp_path: Path, pretrained: Path, judged: Path, corpus_directory: Path
) -> None:
    recipe = PpoRecipe(
        **MACHINE,
        lora=None,
        steps=36,
        rows=16,
        length=256,
        rollouts=32,
        epochs=2,
        reply_tokens=40,
        rate=5e-4,
        measured=24,
        kl_target=4.0,
    )
    found = ppo.train_ppo(
        tmp_path,
        model=pretrained / "model",
        reward_model=judged,
        data=corpus_directory,
        recipe=recipe,
        is_resumed=False,
        say=quiet,
    )
    assert found["after"]["reward"] > found["before"]["reward"]
    assert abs(found["before"]["kl"]) < 1e-3
    assert found["after"]["kl"] < 12


@PEFT_IS_BEHIND
def test_a_reward_model_over_the_policys_weights_gives_the_same_rewards(
    tmp_path: Path, pretrained: Path, compared: tuple[Path, Path]
) -> None:
    base, adapted = pretrained / "model", tmp_path / "reward"
    reward.train_reward(
        adapted,
        model=base,
        learned=[compared[0]],
        held_out=[compared[1]],
        recipe=RewardRecipe(**MACHINE, steps=3, rows=4, length=256, rate=3e-3, warmup=1),
        is_resumed=False,
        say=quiet,
    )
    recipe = PpoRecipe(**MACHINE, steps=1, rows=4, length=256)
    pupil = student.load(base, recipe, device=torch.device("cpu"))
    learning = set(pupil.parameters)
    drawn = [Drawn([5, 6, 7], [8, 9, pupil.encoder.end_id], is_finished=True)] * 2
    apart, shared = (
        ppo.RewardJudge(model, pupil, rows=2)(drawn)
        for model in (
            reward.load_reward(adapted, base, recipe, device=torch.device("cpu")),
            reward.load_reward_on(pupil, adapted),
        )
    )
    torch.testing.assert_close(shared, apart, rtol=1e-4, atol=1e-4)
    assert set(pupil.parameters) == learning
    pupil.save(tmp_path / "saved")
    assert [file.name for file in (tmp_path / "saved" / student.ADAPTER).iterdir() if file.is_dir()] == []


def test_dpo_prefers_what_people_wrote(tmp_path: Path, pretrained: Path, compared: tuple[Path, Path]) -> None:
    recipe = DpoRecipe(**MACHINE, steps=12, rows=8, length=256, rate=3e-3, warmup=2)
    found = train_dpo(
        tmp_path,
        model=pretrained / "model",
        learned=[compared[0]],
        held_out=[compared[1]],
        recipe=recipe,
        is_resumed=False,
        say=quiet,
    )
    assert found["accuracy"] > 0.7
    assert (tmp_path / student.ADAPTER / "adapter_config.json").is_file()


def test_what_holds_no_run_is_not_resumed(tmp_path: Path) -> None:
    with pytest.raises(TrainingTrouble, match="no run"):
        checkpoint.load(tmp_path)
