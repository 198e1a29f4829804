"""The benches of the road run as their documentation says; how fast is for them to say, not for a test.

A run waits for every answer: one that ends has answered everybody.
"""

import json
import re
import signal
import subprocess
import sys

import pytest

from bench.intervals import median_interval
from bench.load import compared

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


@pytest.mark.e2e
def test_a_short_load_answers_everybody_and_prints_what_it_saw() -> None:
    printed = run("bench.load", "steady", "--minutes", "0.05")
    assert re.search(r"^ +steady +$.*first.*last third.*ratio", printed, re.MULTILINE | re.DOTALL), printed


@pytest.mark.e2e
def test_a_full_database_and_several_workers_are_measured() -> None:
    options = ("--turns", "200", "--workers", "2", "--seconds", "0.5", "--rounds", "2", "--json")
    parts = json.loads(run("bench.load", "stored", "workers", *options))
    assert [line["stored turns"] for line in parts["stored"]] == ["200"]
    assert [line["workers"] for line in parts["workers"]] == [2]


@pytest.mark.e2e
def test_the_road_is_measured_for_one_and_for_several() -> None:
    rows = json.loads(run("bench.road", "--people", "1", "3", "--seconds", "0.5", "--json"))
    assert [(row["database"], row["people"]) for row in rows] == [("sqlite", 1), ("sqlite", 3)]
    assert all(row["turns"] >= row["people"] and 0 < row["p50_ms"] <= row["p95_ms"] for row in rows)


def test_the_interval_of_a_median_is_that_of_the_sign_test() -> None:
    """Of 6 values none is left out, of 9 one and of 15 three on each side: tables of the binomial distribution."""
    assert median_interval([3, 1, 2, 6, 5, 4]) == (1, 6)
    assert median_interval(range(1, 10)) == (2, 8)
    assert median_interval(range(1, 16)) == (4, 12)
    assert median_interval([2, 1]) == (1, 2)
    assert median_interval([7]) == (7, 7)


def test_a_comparison_says_how_sure_its_ratio_is() -> None:
    rounds = [{10: 20.0, 10_000: 20.0 + number} for number in range(9)]
    first, second = compared("people", [10, 10_000], rounds)
    assert (first["ratio"], first["interval"]) == (1.0, "1.00 to 1.00")
    assert (second["people"], second["ratio"], second["interval"]) == ("10,000", 1.2, "1.05 to 1.35")
