"""The benches of the road run as their documentation says; how fast is for them to say, not for a test.

A run waits for every answer: one that ends has answered everybody.
"""

import json
import re
import signal
import subprocess
import sys

import pytest

_PATIENCE_SECONDS = 110


def run(*argv: str) -> str:
    """What that prints; one that does not end is told to stop, so that it stops what it started."""
    bench = subprocess.Popen([sys.executable, "-m", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        printed, said = bench.communicate(timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        bench.send_signal(signal.SIGINT)
        printed, said = bench.communicate()
    assert bench.returncode == 0, said
    return printed


def test_a_short_load_answers_everybody_and_prints_what_it_saw() -> None:
    printed = run("bench.load", "steady", "--minutes", "0.05")
    assert re.search(r"^ +steady +$.*first.*last third.*ratio", printed, re.MULTILINE | re.DOTALL), printed


@pytest.mark.e2e
def test_a_full_database_and_several_workers_are_measured() -> None:
    options = ("--turns", "200", "--workers", "2", "--seconds", "0.5", "--json")
    parts = json.loads(run("bench.load", "stored", "workers", *options))
    assert [line["stored turns"] for line in parts["stored"]] == ["200"]
    assert [line["workers"] for line in parts["workers"]] == [2]


def test_the_road_is_measured_for_one_and_for_several() -> None:
    rows = json.loads(run("bench.road", "--people", "1", "3", "--seconds", "0.5", "--json"))
    assert [(row["database"], row["people"]) for row in rows] == [("sqlite", 1), ("sqlite", 3)]
    assert all(row["turns"] >= row["people"] and 0 < row["p50_ms"] <= row["p95_ms"] for row in rows)
