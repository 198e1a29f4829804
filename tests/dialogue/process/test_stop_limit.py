"""A stop that never comes ends by itself."""

import threading

import pytest

from dialogue.process.exit_status import ExitStatus
from dialogue.process.stop_limit import StopLimit


def test_a_stop_that_takes_too_long_says_what_it_waits_for_and_ends_with_its_own_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    statuses: list[ExitStatus] = []
    has_ended, hangs = threading.Event(), threading.Event()

    def end(status: ExitStatus) -> None:
        statuses.append(status)
        has_ended.set()

    thread = threading.Thread(target=hangs.wait, name="a stubborn one")
    thread.start()
    limit = StopLimit(0.01, end=end)
    limit.begin(waited_for=lambda: ["Progress._show"])
    assert has_ended.wait(10)
    hangs.set()
    thread.join()
    assert statuses == [ExitStatus.STUCK]
    said = capsys.readouterr().out
    assert "stop_took_too_long" in said
    assert "Progress._show" in said
    assert "a stubborn one" in said


def test_a_stop_within_its_limit_ends_nothing_by_force() -> None:
    statuses: list[ExitStatus] = []
    limit = StopLimit(0.05, end=statuses.append)
    limit.begin()
    limit.begin()
    limit.met()
    assert limit._timer is not None
    limit._timer.join()
    assert statuses == []
