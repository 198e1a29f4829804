"""The engine's bench runs and counts what it says it counts."""

import json

import pytest


def test_every_way_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from bench import workload  # transformers' models take seconds, which every process of a run would spend
    from bench.engine import main
    from bench.ways import WAYS

    monkeypatch.setattr(workload, "REPLY_LENGTHS", (2, 5))
    main(["--shape", "tiny", "--dtype", "float32", "--at", "2", "--json"])
    report = json.loads(capsys.readouterr().out)
    measured = {(row["way"], row["conversations"]) for row in report["rows"]}
    assert measured == {("seed", 1)} | {(way, 2) for way in WAYS}
    assert all(row["tokens_per_second"] > 0 for row in report["rows"])
    assert all(0 < row["first_p50"] <= row["first_p95"] for row in report["rows"] if row["way"] == "ours")
