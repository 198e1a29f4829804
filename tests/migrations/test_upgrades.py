"""Migrations run while the version before still serves: whatever it writes and reads works on the schema after."""

import ast
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Boolean, Column, DateTime, Integer, LargeBinary, MetaData, Uuid, insert, select, text
from sqlalchemy.types import JSON, TypeEngine

import migrations
from dialogue.errors import SchemaMismatch
from dialogue.storage import schema
from dialogue.storage.database import Database, connect
from tests.migrations.conftest import migrate
from tests.patience import wait_until

FILES = sorted(Path(migrations.__path__[0], "versions").glob("[0-9]*.py"))
NEWEST = schema.known()[-1]
TAKING_AWAY = {"drop_table", "drop_column", "rename_table", "drop_constraint", "alter_column"}


VALUES: dict[type[TypeEngine[Any]], Callable[[], object]] = {
    Uuid: uuid4,
    DateTime: lambda: datetime.now(UTC),
    Boolean: lambda: True,
    Integer: lambda: 1,
    LargeBinary: lambda: b"sealed",
    JSON: dict,
}


@pytest.fixture
def database(each_database: str) -> Iterator[Database]:
    opened = connect(each_database)
    yield opened
    opened.close()


class Predecessor:
    """A version that knows one schema: it reads and writes the tables and columns of that schema, by their names."""

    def __init__(self, database: Database) -> None:
        self._database = database
        known = MetaData()
        known.reflect(database.engine)
        self._tables = [table for table in known.sorted_tables if table.name != "alembic_version"]
        self.written = 0

    def write(self) -> None:
        """A row into each table, with a value for each column, as statements name them all."""
        ids: dict[str, Any] = {}
        with self._database.engine.begin() as connection:
            for table in self._tables:
                row = {column.name: self._value(column, ids) for column in table.columns}
                connection.execute(insert(table), row)
                ids[table.name] = row.get("id")
        self.written += 1

    def read(self) -> int:
        with self._database.engine.begin() as connection:
            for table in self._tables:
                rows = connection.execute(select(table)).all()
        return len(rows)

    def _value(self, column: Column[Any], ids: dict[str, Any]) -> object:
        for key in column.foreign_keys:
            return ids[key.column.table.name]
        for kind, made in VALUES.items():
            if isinstance(column.type, kind):
                return made()
        return uuid4().hex[: getattr(column.type, "length", None)]  # also an id, where SQLite keeps it as text


@pytest.mark.parametrize("file", FILES[1:], ids=lambda file: file.stem)
def test_what_the_version_before_writes_is_taken_after_the_migration(
    database_at: Callable[[str], Database], file: Path
) -> None:
    number = FILES.index(file)
    before, after = FILES[number - 1].stem[:4], file.stem[:4]
    database = database_at(before)
    predecessor = Predecessor(database)
    predecessor.write()
    migrate(database, after)
    predecessor.write()
    assert predecessor.read() >= 2


def test_the_first_version_goes_on_serving_while_all_migrations_run(database_at: Callable[[str], Database]) -> None:
    database = database_at(FILES[0].stem[:4])
    predecessor = Predecessor(database)
    is_over = threading.Event()
    troubles: list[Exception] = []

    def serve() -> None:
        while not is_over.is_set():
            try:
                predecessor.write()
                predecessor.read()
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                troubles.append(error)
                return

    serving = threading.Thread(target=serve)
    serving.start()
    wait_until(lambda: predecessor.written or troubles)
    schema.upgrade(database)
    written_before = predecessor.written
    wait_until(lambda: predecessor.written > written_before or troubles)
    is_over.set()
    serving.join()
    assert troubles == []
    assert predecessor.written > written_before > 0
    schema.check(database)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_migration_that_takes_something_away_says_who_can_still_serve(file: Path) -> None:
    source = file.read_text("utf-8")
    (upgrade,) = [node for node in ast.parse(source).body if getattr(node, "name", "") == "upgrade"]
    called = {node.func.attr for node in ast.walk(upgrade) if isinstance(node, ast.Call) and hasattr(node.func, "attr")}
    assert not called & TAKING_AWAY or "oldest_schema" in source


def as_if_newer(database: Database, *, oldest: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("UPDATE compatibility SET oldest_schema = :oldest"), {"oldest": oldest})


def test_a_database_that_a_newer_version_only_added_to_is_served_and_left_alone(database: Database) -> None:
    as_if_newer(database, oldest=NEWEST)
    schema.check(database)
    schema.upgrade(database)
    with database.engine.connect() as connection:
        assert schema.current(connection) == "9999"


def test_a_database_that_has_lost_what_this_version_needs_is_refused(database: Database) -> None:
    as_if_newer(database, oldest="9998")
    for refusing in (schema.check, schema.upgrade):
        with pytest.raises(SchemaMismatch, match="9999"):
            refusing(database)
