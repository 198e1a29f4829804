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
