"""Writers of one process queue for SQLite's only place; readers wait for nobody."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from dialogue.errors import DatabaseUnavailable
from dialogue.storage import database as module
from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.storage.writer_queue import WRITE_PRIORITY, WriterQueue
from tests.patience import wait_until


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    database = connect(sqlite_url(tmp_path / "test.db"))
    with database.begin() as session:
        session.execute(text("CREATE TABLE words (word TEXT)"))
    yield database
    database.close()


def test_two_writers_are_never_inside_at_once_and_none_is_turned_away(sqlite: Database) -> None:
    inside: list[int] = []
    most: list[int] = []

    def write(number: int) -> None:
        with sqlite.begin() as session:
            inside.append(number)
            most.append(len(inside))
            session.execute(text("INSERT INTO words VALUES (:word)"), {"word": str(number)})
            inside.remove(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(200)))
    assert max(most) == 1
    with sqlite.read() as session:
        assert session.scalar(text("SELECT count(*) FROM words")) == 200


def test_a_reader_does_not_wait_for_a_writer(sqlite: Database) -> None:
    with sqlite.begin() as writing:
        writing.execute(text("INSERT INTO words VALUES ('x')"))
        with sqlite.read() as session:
            assert session.scalar(text("SELECT count(*) FROM words")) == 0


def test_a_writer_that_never_ends_makes_the_others_say_so(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUSY_SECONDS", 0.05)
    let_go = threading.Event()
    holds = threading.Event()

    def hold() -> None:
        with sqlite.begin():
            holds.set()
            let_go.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(5)
    with pytest.raises(DatabaseUnavailable, match="other writers"), sqlite.begin():
        pass
    let_go.set()
    thread.join()
    with sqlite.begin() as session:
        session.execute(text("INSERT INTO words VALUES ('x')"))


def test_waiting_writers_go_by_priority_then_in_order_of_arrival() -> None:
    queue, went, waiting = WriterQueue(), list[str](), list[threading.Thread]()
    assert queue.acquire(1)

    def write(name: str, priority: int) -> None:
        WRITE_PRIORITY.set(priority)
        assert queue.acquire(20)
        went.append(name)
        queue.release()

    for number, (name, priority) in enumerate((("a", 0), ("b", 0), ("c", 3), ("d", 2)), start=1):
        waiting.append(threading.Thread(target=write, args=(name, priority)))
        waiting[-1].start()
        wait_until(lambda number=number: len(queue._waiting) == number)  # type: ignore[misc]  # a default binds it
    queue.release()
    for thread in waiting:
        thread.join()
    assert went == ["c", "d", "a", "b"]


def test_the_writer_that_gives_up_is_passed_over_and_the_holder_may_take_it_again() -> None:
    queue = WriterQueue()
    assert queue.acquire(1)
    assert queue.acquire(1)
    with ThreadPoolExecutor(1) as pool:
        assert not pool.submit(queue.acquire, 0.01).result()
        queue.release()
        assert not pool.submit(queue.acquire, 0.01).result()
        queue.release()
        assert pool.submit(queue.acquire, 1).result()
