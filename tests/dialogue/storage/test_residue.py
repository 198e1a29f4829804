"""Nothing of a deleted key is left in any file; searched byte by byte, as somebody with a copy of the disk would."""

import random
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, insert, select, text, update

from dialogue.errors import DatabaseUnavailable
from dialogue.storage import residue, schema
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.storage.ids import new_id
from dialogue.tables import PEOPLE, Person
from tests.services.migrated import migrate

_READABLE = slice(5, 65)
"""Nonce and sealed key: all that somebody with the master key needs of a wrapped key."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "test.db"


@pytest.fixture
def sqlite(file: Path) -> Iterator[Database]:
    file.parent.mkdir()
    migrate(sqlite_url(file))
    database = connect(sqlite_url(file))
    yield database
    database.close()


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Database]:
    database = connect(postgres_url)
    schema.upgrade(database)
    yield database
    database.close()


def live_for_months(database: Database, *, seed: int, people: int = 1000) -> dict[str, bytes]:
    """People come, and their rows grow and shrink, so that pages are split, joined and packed; returns their keys."""
    chance = random.Random(seed)
    keys: dict[str, bytes] = {}
    with database.begin() as session:
        for number in range(people):
            name, key = f"{number}", chance.randbytes(65)
            session.execute(
                insert(PEOPLE).values(id=new_id(), channel="test", user_id=name, data_key=key, created_at=utc_now())
            )
            keys[name] = key
            for _ in range(2):
                whom = f"{chance.randrange(number + 1)}"
                course = chance.randbytes(chance.randrange(300))
                session.execute(update(PEOPLE).where(PEOPLE.c.user_id == whom).values(course=course))
    return keys


def forget_half(database: Database, keys: dict[str, bytes]) -> list[bytes]:
    """The keys that are gone."""
    gone = [name for number, name in enumerate(keys) if number % 2]
    with database.begin() as session:
        for name in gone:
            session.execute(update(PEOPLE).where(PEOPLE.c.user_id == name).values(data_key=None, course=None))
    return [keys[name] for name in gone]


def found(keys: list[bytes], files: bytes) -> int:
    return sum(key[_READABLE] in files for key in keys)


def bytes_of(directory: Path) -> bytes:
    return b"".join(one.read_bytes() for one in directory.rglob("*") if one.is_file())


@pytest.mark.parametrize("seed", range(2))
def test_of_forgotten_keys_nothing_is_left_in_any_file_of_sqlite(sqlite: Database, file: Path, seed: int) -> None:
    keys = live_for_months(sqlite, seed=seed)
    gone = forget_half(sqlite, keys)
    assert found(gone, bytes_of(file.parent)) > 0
    assert residue.rewrite(sqlite, PEOPLE)
    assert found(gone, bytes_of(file.parent)) == 0
    assert file.with_name("test.db-wal").stat().st_size == 0
    with sqlite.read() as session:
        kept = {row.user_id: row.data_key for row in session.execute(select(Person.user_id, Person.data_key))}
        assert session.execute(text("PRAGMA foreign_key_check")).all() == []
        assert session.scalar(text("PRAGMA integrity_check")) == "ok"
        assert session.scalar(text("PRAGMA foreign_keys")) == 1
    assert {name for name, key in kept.items() if key is not None and key == keys[name]} == set(list(keys)[::2])


def test_as_long_as_a_reader_needs_the_wal_it_says_that_it_is_not_done(sqlite: Database, file: Path) -> None:
    gone = forget_half(sqlite, live_for_months(sqlite, seed=1, people=20))
    other = connect(sqlite_url(file))
    with other.read() as session:
        session.scalar(select(Person.id).limit(1))
        with sqlite.begin() as writing:
            writing.execute(delete(PEOPLE).where(PEOPLE.c.user_id == "0"))
        assert not residue.rewrite(sqlite, PEOPLE)
    assert residue.rewrite(sqlite, PEOPLE)
    assert found(gone, bytes_of(file.parent)) == 0
    other.close()


def test_on_postgresql_the_table_is_written_anew(postgres: Database) -> None:
    gone = forget_half(postgres, live_for_months(postgres, seed=1, people=300))
    assert found(gone, heap_of(postgres.engine)) > 0
    vacuumed_until = residue.vacuum(postgres, PEOPLE)
    assert vacuumed_until is not None
    assert utc_now() - vacuumed_until < timedelta(minutes=1)
    assert found(gone, heap_of(postgres.engine)) == 0


def test_on_postgresql_a_table_in_use_is_not_waited_for(postgres: Database) -> None:
    with postgres.begin() as session:
        session.scalar(select(Person.id).limit(1))
        with pytest.raises(DatabaseUnavailable):
            residue.vacuum(postgres, PEOPLE)


def heap_of(engine: Engine) -> bytes:
    """The table's file as it is on the disk."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))
        content: bytes = connection.execute(
            text("SELECT pg_read_binary_file(pg_relation_filepath('people'))")
        ).scalar_one()
        return content


_ROWS = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) "
    "INSERT INTO big SELECT randomblob(3000) FROM n"
)


def test_after_a_big_deletion_the_file_is_small_again(sqlite: Database, file: Path) -> None:
    with sqlite.begin() as session:
        session.execute(text("CREATE TABLE big (it blob)"))
        session.execute(_ROWS)
    big = file.stat().st_size + file.with_name("test.db-wal").stat().st_size
    with sqlite.begin() as session:
        session.execute(text("DELETE FROM big"))
    given_back = residue.give_back_pages(sqlite, pause=lambda: False)
    assert residue.truncate_wal(sqlite)
    assert given_back > 1500
    assert file.stat().st_size < big / 3
    assert file.with_name("test.db-wal").stat().st_size == 0


def test_a_file_of_an_older_version_becomes_one_that_can_shrink(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    with sqlite3.connect(old) as connection:
        connection.execute("CREATE TABLE one (it)")
        connection.execute("INSERT INTO one VALUES (7)")
    connection.close()
    database = connect(sqlite_url(old))
    assert residue.make_shrinkable(database)
    assert not residue.make_shrinkable(database)
    with database.read() as session:
        assert session.scalar(text("SELECT it FROM one")) == 7
    database.close()
