"""The commands of training, as a person types them."""

import json
import random
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from mindglm.train import app
from tests.training.conftest import dialogue

run = CliRunner()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Dialogues as somebody might publish them."""
    chance = random.Random(1)
    file = tmp_path / "published.jsonl"
    made = [dialogue(chance).exchanges for _ in range(200)]
    file.write_text("\n".join(json.dumps(exchanges, ensure_ascii=False) for exchanges in made), encoding="utf-8")
    return file


def test_from_published_dialogues_to_a_small_model(tmp_path: Path, published: Path) -> None:
    corpus, tokenizer, base = (str(tmp_path / name) for name in ("corpus", "tokenizer", "base"))
    made = run.invoke(app, ["data", str(published), "--into", corpus, "--licence", "ours", "--held-out", "0.2"])
    assert made.exit_code == 0, made.output
    assert yaml.safe_load(made.output)["refused"]["duplicate"] > 0
    again = run.invoke(app, ["data", str(published), "--into", corpus, "--licence", "ours"])
    assert again.exit_code == 1
    assert "not empty" in again.output

    made = run.invoke(app, ["tokenizer", tokenizer, "--data", corpus, "--size", "600", "--every", "1"])
    assert made.exit_code == 0, made.output
    recipe = tmp_path / "recipe.yaml"
    small = {"width": 32, "layers": 1, "heads": 1, "groups": 1, "head_width": 32, "feed_forward": 32}
    recipe.write_text(yaml.safe_dump({**small, "rows": 1, "length": 128, "threads": 1, "log_steps": 1, "hours": None}))
    command = ["pretrain", base, "--data", corpus, "--tokenizer", tokenizer]
    made = run.invoke(app, [*command, "--recipe", str(recipe), "--steps", "2"])
    assert made.exit_code == 0, made.output
    assert "min left" in made.output
    kept = yaml.safe_load((tmp_path / "base" / "recipe.yaml").read_text())
    assert (kept["steps"], kept["width"]) == (2, 32)
    made = run.invoke(app, [*command, "--resume", "--steps", "3"])
    assert made.exit_code == 0, made.output
    assert "step 3" in made.output
    assert "step 1 " not in made.output
    made = run.invoke(app, [*command, "--steps", "3"])
    assert made.exit_code == 1
    assert "--resume" in made.output
    assert (tmp_path / "base" / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("recipe", "said"), [("rows: none", "rows"), ("no_such: 1", "no_such"), ("- 1", "recipe"), ("a: [", "recipe")]
)
def test_a_recipe_that_does_not_fit_is_one_line(tmp_path: Path, recipe: str, said: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe)
    made = run.invoke(
        app, ["pretrain", str(tmp_path / "run"), "--data", "x", "--tokenizer", "x", "--recipe", str(file)]
    )
    assert made.exit_code == 1
    assert said in made.output
    assert "Traceback" not in made.output


def test_what_is_no_corpus_and_no_model_is_said(tmp_path: Path) -> None:
    for command in (
        ["tokenizer", str(tmp_path / "t"), "--data", str(tmp_path)],
        ["sft", str(tmp_path / "r"), "--model", str(tmp_path), "--data", str(tmp_path)],
        ["pretrain", str(tmp_path / "r"), "--data", "x", "--tokenizer", "x", "--resume"],
    ):
        made = run.invoke(app, command)
        assert made.exit_code == 1
        assert str(tmp_path) in made.output.replace("\n", "")


def test_the_estimate_names_memory_and_time() -> None:
    made = run.invoke(app, ["estimate", "--teraflops", "300", "--tokens", "1000000"])
    assert made.exit_code == 0, made.output
    assert "GiB" in made.output
    assert "hours" in made.output
