from datetime import timedelta

import pytest

from dialogue.storage.database import Database
from dialogue.telemetry.heartbeat import GONE_SECONDS, Identity, Presence, beat, leave, present
from tests.builders import FakeClock

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
