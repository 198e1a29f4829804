import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from dialogue.errors import DatabaseDamaged, DatabaseUnavailable
from dialogue.storage import database as databases
from dialogue.storage import residue, schema
from dialogue.storage.database import connect, sqlite_url
from dialogue.tables.mapping import Table

TIMEOUT = "idle_in_transaction_session_timeout"


def test_a_process_that_freezes_in_a_transaction_lets_go_of_its_locks(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_ABANDONED_SECONDS", 0.5)
    frozen, other = connect(postgres_url), connect(postgres_url)
    with other.begin() as session:
        session.execute(text("CREATE TABLE held (it int)"))
        session.execute(text("INSERT INTO held VALUES (1)"))
    holds, may_go_on = threading.Event(), threading.Event()
    troubles: list[DatabaseUnavailable] = []

    def freeze() -> None:
        try:
            with frozen.begin() as session:
                session.execute(text("UPDATE held SET it = 2"))
                holds.set()
                may_go_on.wait(20)
                session.execute(text("UPDATE held SET it = 3"))
        except DatabaseUnavailable as error:
            troubles.append(error)

    thread = threading.Thread(target=freeze)
    thread.start()
    assert holds.wait(10)
    began_at = time.monotonic()
    with other.begin() as session:
        session.execute(text("UPDATE held SET it = it + 10"))
    assert time.monotonic() - began_at < 10
    may_go_on.set()
    thread.join()
    assert len(troubles) == 1
    with frozen.read() as session:
        assert session.scalar(text("SELECT it FROM held")) == 11
    frozen.close()
    other.close()


def test_a_file_that_was_cut_short_is_named_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "cut.db"
    with closing(connect(sqlite_url(file))) as database:
        schema.upgrade(database)
        residue.truncate_wal(database)
    os.truncate(file, file.stat().st_size // 2)
    with closing(connect(sqlite_url(file))) as database, pytest.raises(DatabaseDamaged, match="restore"):
        read_all(database)


def read_all(database: databases.Database) -> None:
    schema.check(database)
    with database.read() as session:
        for name in Table.metadata.tables:
            session.execute(text(f"SELECT * FROM {name}")).all()


@pytest.mark.parametrize(("value", "is_prepared"), [("1", True), ("0", False), ("none", False), ("off", False)])
def test_prepared_statements_can_be_switched_off_by_the_url(postgres_url: str, value: str, is_prepared: bool) -> None:
    """PgBouncer in transaction mode gives each transaction another connection: nothing may outlive one."""
    separator = "&" if "?" in postgres_url else "?"
    database = connect(f"{postgres_url}{separator}prepare_threshold={value}", pool_size=1, lock_seconds=3)
    try:
        for _ in range(3):
            with database.begin() as session:
                session.execute(text("SELECT 1 + :number"), {"number": 1})
        with database.read() as session:
            prepared = session.scalars(text("SELECT statement FROM pg_prepared_statements")).all()
            settings = [session.scalar(text(f"SHOW {name}")) for name in ("lock_timeout", TIMEOUT)]
        assert any("1 + " in statement for statement in prepared) is is_prepared
        assert settings == ["3s", "10s"]
        if not is_prepared:
            with database.engine.connect() as connection:
                raw = connection.connection.dbapi_connection
                assert raw is not None
                connection.rollback()
                cursor = raw.cursor()
                cursor.execute("SHOW lock_timeout")
                assert cursor.fetchone() == ("0",)
                cursor.close()
    finally:
        database.close()


def test_a_pool_without_a_free_connection_is_a_database_that_is_away(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = connect(postgres_url, pool_size=1)
    monkeypatch.setattr(database.engine.pool, "_timeout", 0.01)
    monkeypatch.setattr(database.engine.pool, "_max_overflow", 0)
    try:
        with database.read() as session:
            session.execute(text("SELECT 1"))
            with pytest.raises(DatabaseUnavailable, match="all connections"), database.read() as other:
                other.execute(text("SELECT 1"))
    finally:
        database.close()


def test_what_the_server_refuses_for_reasons_of_its_own_is_no_fault_of_the_values(postgres_url: str) -> None:
    """A read-only standby, a missing column, missing rights."""
    database = connect(postgres_url)
    try:
        for statement in ("SELECT no_such_column", "SELECT * FROM no_such_table"):
            with pytest.raises(DatabaseUnavailable), database.read() as session:
                session.execute(text(statement))
        with pytest.raises(DatabaseUnavailable, match="read-only"), database.begin() as session:
            session.connection().exec_driver_sql("SET TRANSACTION READ ONLY; CREATE TABLE refused (it int)")
        with pytest.raises(DataError), database.read() as session:
            session.execute(text("SELECT 'x'::int"))
    finally:
        database.close()


def test_what_may_be_forgotten_with_the_power_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    """Everything else does, on the same connection, too; SQLite's numbers are 1 for NORMAL and 2 for FULL."""
    with closing(connect(sqlite_url(tmp_path / "hasty.db"))) as database:
        levels = []
        for is_hasty in (False, True, True, False, True):
            with database.begin(is_hasty=is_hasty) as session:
                levels.append(session.connection().exec_driver_sql("PRAGMA synchronous").scalar_one())
        assert levels == [2, 1, 1, 2, 1]


def test_a_process_that_dies_forgets_nothing_that_it_committed_hastily(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "hasty.db")
    script = (
        "import os, sys; from sqlalchemy import text; from dialogue.storage.database import connect\n"
        "database = connect(sys.argv[1])\n"
        "with database.begin() as session: session.execute(text('CREATE TABLE kept (it int)'))\n"
        "with database.begin(is_hasty=True) as session: session.execute(text('INSERT INTO kept VALUES (1)'))\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, url], check=False)
    with closing(connect(url)) as database, database.read() as session:
        assert session.scalar(text("SELECT it FROM kept")) == 1
