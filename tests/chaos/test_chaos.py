"""A bounded bad day: the long one is `python -m tests.chaos`."""

import os

import pytest

from tests.chaos.run import Plan, run

SECONDS = float(os.environ.get("TEST_CHAOS_SECONDS", "45"))
SEED = int(os.environ.get("TEST_CHAOS_SEED", "1"))


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_whatever_breaks_everybody_is_answered_once_in_order_and_nobody_elses_words() -> None:
    outcome = run(Plan(seed=SEED, seconds=SECONDS))
    assert outcome.verdict.is_good, (outcome.verdict, outcome.faults, outcome.last_words)
    assert outcome.verdict.calls > 0
    assert len(outcome.faults) > 5
