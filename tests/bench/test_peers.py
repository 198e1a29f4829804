"""The comparison with a peer, which is a stand-in here: it speaks the same Bot API and asks the same model."""

import shutil
import sys
from pathlib import Path

import pytest

from bench import peers

STAND_IN = Path(__file__).with_name("stand_in_peer")


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python that has python-telegram-bot and, as peers need it, a module `openai`."""
    (tmp_path / "openai.py").touch()
    file = tmp_path / "python"
    file.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    file.chmod(0o700)
    return file


def test_a_peer_that_answers_each_message_is_measured_and_one_that_answers_twice_is_found_out(
    python: Path, tmp_path: Path
) -> None:
    once = peers.find_peer(STAND_IN, python, "bot/main.py", [])
    twice = peers.find_peer(STAND_IN, python, "bot/main.py", ["ANSWERS_TWICE=true"])
    with (
        peers.model(0.01) as url,
        peers.run_peer(once, url, tmp_path / "once.log") as good,
        peers.run_peer(twice, url, tmp_path / "twice.log") as bad,
    ):
        answered = peers.measure(good, people=3, seconds=0.5)
        doubled = peers.measure(bad, people=1, seconds=0.2)
    assert answered.turns >= 3
    assert (answered.lost, answered.doubled) == (0, 0)
    assert answered.cpu_ms > 0
    assert answered.mib > 10
    assert 0.01 < answered.p50_s <= answered.p95_s
    assert (doubled.lost, doubled.doubled) == (0, doubled.turns)


def test_what_a_peer_lacks_is_named(python: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: str) -> str:
        assert peers.main(["--peer", *arguments]) == 2
        return capsys.readouterr().err

    empty = tmp_path / "peer"
    assert f"{empty} is not there" in told(str(empty))
    empty.mkdir()
    assert "has no bot/main.py" in told(str(empty))
    shutil.copytree(STAND_IN, empty, dirs_exist_ok=True)
    assert "--peer-python names a Python" in told(str(empty))
    (tmp_path / "openai.py").write_text("import what_nobody_installed\n")
    assert "lacks the peer's dependencies: ModuleNotFoundError" in told(str(empty), "--peer-python", str(python))
    (tmp_path / "openai.py").write_text("")
    assert "STREAM is not NAME=VALUE" in told(str(empty), "--peer-python", str(python), "--peer-setting", "STREAM")
    (empty / "bot" / "main.py").write_text("raise SystemExit('no such language')\n")
    assert "did not start to poll:\nno such language" in told(str(empty), "--peer-python", str(python))


def test_rounds_alternate_and_losses_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def measured(side: peers.Side, *, people: int, seconds: float) -> peers.Round:
        asked.append(side.name)
        number = len(asked)
        return peers.Round(
            turns=1, turns_per_second=number, p50_s=number, p95_s=number, cpu_ms=number, mib=number, lost=1, doubled=0
        )

    monkeypatch.setattr(peers, "measure", measured)
    sides = [peers.Side(name=name, telegram=None, processes={}) for name in ("peer", "ours")]  # type: ignore[arg-type]  # measured by nobody
    lines = peers.compare(sides, [20], rounds=3, seconds=1)
    assert asked == ["peer", "ours", "ours", "peer", "peer", "ours"]
    assert [(line["side"], line["people"], line["lost"], line["p50_s"]) for line in lines] == [
        ("peer", 20, 3, 4),
        ("ours", 20, 3, 3),
    ]
