"""A few thousand inputs each time; a million by `python -m tests.fuzz --inputs 1000000`."""

import pytest

from tests.fuzz.run import run
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_that_a_stranger_sends_breaks_it(target: str) -> None:
    (tally,) = run(inputs=300, seed=1, only=[target])
    assert tally.findings == []
    assert tally.inputs == 300
