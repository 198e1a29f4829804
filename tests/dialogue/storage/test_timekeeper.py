"""Hosts that share a server tell its time, whatever their own clocks say."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dialogue.storage import clock, timekeeper
from dialogue.storage.clock import utc_now
from dialogue.storage.database import connect, sqlite_url
from dialogue.storage.ids import new_id

WRONG_BY = timedelta(seconds=45)


@pytest.fixture(autouse=True)
def _the_hosts_time() -> Iterator[None]:
    clock.follow_the_host()
    yield
    clock.follow_the_host()


@pytest.fixture
def move_host_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    true_ns = time.time_ns

    def move(by: timedelta) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: true_ns() + int(by.total_seconds() * 1e9))

    return move


def error_of(told: datetime) -> timedelta:
    return abs(told - datetime.now(UTC))


@pytest.mark.parametrize("by", [WRONG_BY, -WRONG_BY])
def test_a_host_whose_clock_is_wrong_tells_the_servers_time(
    postgres_url: str, move_host_clock: Callable[[timedelta], None], by: timedelta
) -> None:
    move_host_clock(by)
    assert error_of(utc_now()) > WRONG_BY / 2
    database = connect(postgres_url)
    timekeeper.agree(database)
    database.close()
    assert error_of(utc_now()) < timedelta(seconds=1)


def test_a_clock_that_jumps_later_moves_neither_time_nor_ids(
    postgres_url: str, move_host_clock: Callable[[timedelta], None]
) -> None:
    database = connect(postgres_url)
    timekeeper.agree(database)
    database.close()
    before = new_id()
    move_host_clock(-WRONG_BY)
    assert error_of(utc_now()) < timedelta(seconds=1)
    assert new_id() > before


def test_an_answer_that_was_long_under_way_moves_nothing_that_it_does_not_prove_wrong() -> None:
    asked_at_ns = time.monotonic_ns()
    clock.follow(time.time_ns(), asked_at_ns=asked_at_ns, answered_at_ns=time.monotonic_ns())
    minute_ns = 60 * 1_000_000_000
    clock.follow(time.time_ns() + minute_ns // 4, asked_at_ns=asked_at_ns, answered_at_ns=asked_at_ns + minute_ns)
    assert error_of(utc_now()) < timedelta(seconds=1)


def test_an_answer_that_proves_the_time_wrong_moves_it() -> None:
    now_ns = time.monotonic_ns()
    clock.follow(time.time_ns() + 30 * 1_000_000_000, asked_at_ns=now_ns - 1, answered_at_ns=now_ns)
    now_ns = time.monotonic_ns()
    clock.follow(time.time_ns(), asked_at_ns=now_ns - 1, answered_at_ns=now_ns)
    assert error_of(utc_now()) < timedelta(seconds=1)


def test_a_file_has_the_hosts_time(tmp_path: Path, move_host_clock: Callable[[timedelta], None]) -> None:
    database = connect(sqlite_url(tmp_path / "mindglm.db"))
    timekeeper.agree(database)
    database.close()
    move_host_clock(WRONG_BY)
    assert error_of(utc_now()) > WRONG_BY / 2
