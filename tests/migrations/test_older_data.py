"""A week of a practice, kept by each older version in its own schema, is all there after the upgrade, and readable."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table, insert, inspect, select

from care import texts
from console import accounts, second_factor
from dialogue.admin import audit, listing, overview, record
from dialogue.admin.listing import Wanted
from dialogue.admin.office import Actor, Office
from dialogue.core import people
from dialogue.rights import emergency_contacts, personal_data
from dialogue.states import Role
from dialogue.storage import schema
from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.storage.vault import MasterKeys, new_secret
from dialogue.tables import Table as Model
from tests.builders import Rooms
from tests.console import demo
from tests.services.migrated import migrate

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
OLDER = schema.known()[:-1]
CONVERSATIONS = 10

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class WrittenWeek:
    """Every row of every table, as this version writes them."""

    keys: MasterKeys
    rows: dict[str, Rows]


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> WrittenWeek:
    """Made once; each older version is given what its schema has room for."""
    keys, url = MasterKeys.parse(new_secret()), sqlite_url(tmp_path_factory.mktemp("week") / "week.db")
    migrate(url)
    database = connect(url)
    try:
        _fill(database, keys)
        with database.engine.connect() as connection:
            names = [table.name for table in Model.metadata.sorted_tables]
            rows = {name: _rows(connection, Model.metadata.tables[name]) for name in names}
    finally:
        database.close()
    assert len([name for name, found in rows.items() if found]) > 12, "the week should be in most tables"
    return WrittenWeek(keys, rows)


def _fill(database: Database, keys: MasterKeys) -> None:
    demo.fill(database, keys, now=NOW, count=CONVERSATIONS)
    rooms = Rooms(database, keys)
    rooms.heard("还在等", who="阿明")
    rooms.answered("我睡不着", "我在听", who="小王")
    with database.begin() as session:
        person = people.locked(session, keys, channel="test", user_id="小王", now=NOW)
        emergency_contacts.give(session, person, "妈妈 13900000000", now=NOW)
        staff_id = accounts.add(session, name="lin", role=Role.ADMIN, locale="zh", actor="test", now=NOW)
        accounts.make_link(session, staff_id, actor="test", now=NOW)
        second_factor.renew_recovery_codes(session, staff_id, now=NOW)


@pytest.mark.parametrize("revision", OLDER)
def test_an_older_versions_week_is_all_there_after_the_upgrade(
    database_at: Callable[[str], Database], week: WrittenWeek, revision: str
) -> None:
    database = database_at(revision)
    kept = _tables_of(database)
    with database.engine.begin() as connection:
        for table in kept:
            rows = [{column.name: row[column.name] for column in table.columns} for row in week.rows[table.name]]
            if rows:
                connection.execute(insert(table), rows)
    before = _contents(database, kept)
    schema.upgrade(database)
    schema.check(database)
    assert _contents(database, kept) == before
    _read_as_staff_do(database, week.keys)


def _tables_of(database: Database) -> list[Table]:
    """What that version has, of the tables and columns that are known today, without what today's code fills in."""
    found, metadata = inspect(database.engine), MetaData()
    there = set(found.get_table_names())
    tables = []
    for model in Model.metadata.sorted_tables:
        if model.name in there - {"compatibility"}:  # which the migrations write
            names = {column["name"] for column in found.get_columns(model.name)}
            columns = [Column(each.name, each.type, primary_key=each.primary_key) for each in model.columns]
            tables.append(Table(model.name, metadata, *(each for each in columns if each.name in names)))
    return tables


def _contents(database: Database, tables: list[Table]) -> dict[str, Rows]:
    with database.engine.connect() as connection:
        return {table.name: _rows(connection, table) for table in tables}


def _rows(connection: Any, table: Table) -> Rows:
    ordered = select(table).order_by(*table.primary_key.columns)
    return [dict(row) for row in connection.execute(ordered).mappings()]


def _read_as_staff_do(database: Database, keys: MasterKeys) -> None:
    office, by = Office(keys=keys, texts=texts.load("zh")), Actor(name="cli:test")
    with database.begin() as session:
        assert overview.overview(session, now=NOW).open_count > 0
        page = listing.page(session, Wanted(), after=None, limit=100)
        assert len(page.conversations) == CONVERSATIONS + 2
        for one in page.conversations:
            lines = record.transcript(session, office, one.id, by=by, reason="test", max_lines=50, now=NOW)
            assert {line.text for line in lines} & {
                "还在等",
                "我睡不着",
                *(words for pair in demo.TALK for words in pair),
            }
        person_id = page.conversations[0].person_id
        assert personal_data.gather(session, keys, person_id).talks
        assert audit.entries(session, limit=10)
