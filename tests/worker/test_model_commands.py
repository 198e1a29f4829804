"""``mindglm model``: what an operator sees, refusals included."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mindglm.model import app
from tests.worker.engine import chatglm2

DIALOGUES = Path(__file__).parents[2] / "bench" / "dialogues.jsonl"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DEVICE": "cpu", "THREADS": "1", "MAX_REPLY_TOKENS": "8"}.items():
        monkeypatch.setenv(f"MINDGLM_{name}", value)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_check_prints_memory_speed_and_a_conversation(tmp_path: Path) -> None:
    result = run("check", "--model", chatglm2.write(tmp_path / "model"), "--at-once", 2)
    assert result.exit_code == 0
    for word in (
        "engine        Our own engine answers",
        "memory",
        "error",
        "as it should be",
        "with 1 at once",
        "with 2 at once",
        "支持者:",
    ):
        assert word in result.output


def test_a_converted_model_passes_the_check(tmp_path: Path) -> None:
    source, target = chatglm2.write(tmp_path / "model"), tmp_path / "native"
    assert run("convert", source, target).exit_code == 0
    assert run("check", "--model", target, "--at-once", 1).exit_code == 0


def test_probe_says_what_to_set() -> None:
    result = run("probe", DIALOGUES, "--replies", 8)
    assert result.exit_code == 0
    assert "Set MINDGLM_PROMPT_STYLE=seed." in result.output


@pytest.mark.parametrize("arguments", [("check", "--model", "./nowhere"), ("convert", "./nowhere", "./target")])
def test_a_refusal_is_one_line_and_status_1(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("mindglm: ./nowhere" if arguments[0] == "check" else "mindglm: nowhere")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["fetch", "convert", "merge", "use", "check", "probe"])
def test_every_command_shows_an_example(command: str) -> None:
    assert f"Example: mindglm model {command}" in run(command, "--help").output
