from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

import migrations
from dialogue.errors import SchemaMismatch
from dialogue.storage import schema
from dialogue.storage.database import Database, connect
from dialogue.tables import Table


@pytest.fixture
def empty(each_empty_database: str) -> Iterator[Database]:
    database = connect(each_empty_database)
    yield database
    database.close()


def run(database: Database, direction: Callable[..., None], revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", migrations.__path__[0])
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        direction(config, revision)


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def test_up_down_and_up_again(empty: Database) -> None:
    run(empty, command.upgrade, "head")
    assert tables(empty) == set(Table.metadata.tables)
    run(empty, command.downgrade, "base")
    assert tables(empty) == set()
    run(empty, command.upgrade, "head")
    assert tables(empty) == set(Table.metadata.tables)


def test_the_models_and_the_migrations_agree(empty: Database) -> None:
    schema.upgrade(empty)
    with empty.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(empty: Database) -> None:
    schema.upgrade(empty)
    schema.upgrade(empty)
    schema.check(empty)


def test_upgrades_at_the_same_time_wait_for_each_other(empty: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: schema.upgrade(empty), range(4)))
    schema.check(empty)


def test_an_empty_database_is_told_apart_from_a_ready_one(empty: Database) -> None:
    with pytest.raises(SchemaMismatch, match="mindglm migrate"):
        schema.check(empty)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(empty: Database) -> None:
    schema.upgrade(empty)
    with empty.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("DELETE FROM compatibility"))
    with pytest.raises(SchemaMismatch, match="9999"):
        schema.check(empty)
    with pytest.raises(SchemaMismatch, match="9999"):
        schema.upgrade(empty)
