import os
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from dialogue.errors import DatabaseDamaged, DatabaseUnavailable
from dialogue.storage import database as databases
from dialogue.storage import residue, schema
from dialogue.storage.database import connect, sqlite_url
from dialogue.tables.mapping import Table


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
