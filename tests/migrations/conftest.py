"""Databases as an older version left them: each schema is made once, from the one before it, and copied."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import migrations
from dialogue.storage import schema
from dialogue.storage.database import Database, connect, sqlite_url
from tests.services.databases import Databases


def migrate(database: Database, revision: str) -> None:
    """By Alembic's own command."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", migrations.__path__[0])
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Database]]:
    """Opens a database of the test's own with the schema of a revision; once a test."""
    opened: list[Database] = []

    def open_at(revision: str) -> Database:
        if request.param == "postgresql":
            url = request.getfixturevalue("empty_postgres_database")(
                like=request.getfixturevalue("_postgres_at")(revision)
            )
        else:
            (tmp_path / "test.db").write_bytes(request.getfixturevalue("_sqlite_at")(revision))
            url = sqlite_url(tmp_path / "test.db")
        opened.append(connect(url))
        return opened[-1]

    yield open_at
    for database in opened:
        database.close()


@pytest.fixture(scope="session")
def _sqlite_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    directory = tmp_path_factory.mktemp("older")

    @cache
    def file_at(revision: str) -> bytes:
        file = directory / f"{revision}.db"
        if (before := _before(revision)) is not None:
            file.write_bytes(file_at(before))
        _migrate_at(sqlite_url(file), revision)
        return file.read_bytes()

    return file_at


@pytest.fixture(scope="session")
def _postgres_at(_postgres: str) -> Iterator[Callable[[str], str]]:
    databases = Databases(_postgres)

    @cache
    def template_at(revision: str) -> str:
        before = _before(revision)
        url = databases.make(like=None if before is None else template_at(before))
        _migrate_at(url, revision)
        return url

    yield template_at
    databases.drop_all()


def _before(revision: str) -> str | None:
    number = schema.known().index(revision)
    return schema.known()[number - 1] if number else None


def _migrate_at(url: str, revision: str) -> None:
    database = connect(url)
    try:
        migrate(database, revision)
    finally:
        database.close()
