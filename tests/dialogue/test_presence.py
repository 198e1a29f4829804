from datetime import timedelta

import pytest

from dialogue.database import Database
from dialogue.presence import GONE_SECONDS, Identity, Presence, Pulse, beat, leave, present
from dialogue.tables import Figure
from tests.builders import FakeClock
from tests.road.harness import wait_until

WORKER = Identity(kind="worker", name="celery", host="gpu1", pid=4242, version="1.0")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def everybody(database: Database) -> list[Presence]:
    with database.read() as session:
        return present(session)


def say(database: Database, me: Identity, clock: FakeClock, **figures: int) -> None:
    with database.begin() as session:
        beat(session, me, figures, now=clock())


def test_a_process_is_there_once_with_its_newest_figures(database: Database, clock: FakeClock) -> None:
    say(database, WORKER, clock, answering=3)
    clock.tick(5)
    say(database, WORKER, clock, answering=4)
    (one,) = everybody(database)
    assert one.identity == WORKER
    assert one.figures == {"answering": 4}
    assert one.seen_at == clock()


def test_who_is_silent_for_too_long_is_not_there_but_is_remembered(database: Database, clock: FakeClock) -> None:
    say(database, WORKER, clock)
    clock.tick(GONE_SECONDS + 1)
    (one,) = everybody(database)
    assert not one.is_there(clock())
    assert one.silent_seconds(clock()) == GONE_SECONDS + 1


def test_a_successor_takes_the_place_of_one_that_was_killed_but_not_of_a_living_one(
    database: Database, clock: FakeClock
) -> None:
    twin = Identity(kind="worker", name="celery", host="gpu1", pid=5, version="1.0")
    other = Identity(kind="worker", name="celery", host="gpu2", pid=6, version="1.0")
    for process in (WORKER, twin, other):
        say(database, process, clock)
    assert len(everybody(database)) == 3
    clock.tick(GONE_SECONDS + 1)
    say(database, twin, clock)
    assert {one.identity.pid for one in everybody(database)} == {5, 6}


def test_after_a_day_nobody_remembers(database: Database, clock: FakeClock) -> None:
    say(database, WORKER, clock)
    clock.now += timedelta(days=1, seconds=1)
    say(database, Identity(kind="telegram", name="telegram"), clock)
    assert [one.identity.kind for one in everybody(database)] == ["telegram"]


def test_who_ends_in_order_takes_its_row_along(database: Database, clock: FakeClock) -> None:
    say(database, WORKER, clock)
    with database.begin() as session:
        leave(session, WORKER)
    assert everybody(database) == []


def test_the_pulse_beats_until_it_is_stopped(database: Database) -> None:
    pulse = Pulse(database=database, me=WORKER, figures=lambda: {"answering": 1}, beat_seconds=0.01)
    pulse.start()
    wait_until(lambda: everybody(database), 5)
    first_at = everybody(database)[0].seen_at
    wait_until(lambda: everybody(database)[0].seen_at > first_at, 5)
    assert everybody(database)[0].figures["memory_mb"]
    pulse.stop()
    assert everybody(database) == []


def test_figures_that_break_do_not_end_the_pulse(database: Database) -> None:
    calls: list[int] = []

    def figures() -> dict[str, Figure]:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError
        return {}

    pulse = Pulse(database=database, me=WORKER, figures=figures, beat_seconds=0.01)
    pulse.start()
    wait_until(lambda: everybody(database), 5)
    pulse.stop()
