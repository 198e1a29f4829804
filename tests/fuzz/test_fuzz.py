"""A few thousand inputs each time; a million by `python -m tests.fuzz --inputs 1000000`."""

import subprocess
import sys

import pytest

from tests.fuzz.run import run
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_that_a_stranger_sends_breaks_it(target: str) -> None:
    (tally,) = run(inputs=300, seed=1, only=[target])
    assert tally.findings == []
    assert tally.inputs == 300


def test_the_command_prints_a_table_and_ends_well() -> None:
    argv = [sys.executable, "-m", "tests.fuzz", "--inputs", "40", "--only", "commands"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "A stranger's bytes" in done.stdout
    assert "40" in done.stdout
