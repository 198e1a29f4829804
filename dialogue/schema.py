"""Brings a database to the schema of this code, and refuses one that is ahead of it."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

import migrations
from dialogue.database import Database, connect, reachable
from dialogue.errors import SchemaMismatch

_LOCK = 0x6D696E64676C6D  # "mindglm": two upgrades at once wait for each other on PostgreSQL


def upgrade(database: Database) -> None:
    """Run the missing migrations; raises `SchemaMismatch` if the database is newer than this code."""
    from alembic import command  # processes that only check need not load it
    from alembic.config import Config

    with reachable(), database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        _refuse_unknown(connection)
        config = Config()
        config.set_main_option("script_location", str(_directory()).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def upgrade_at(url: str) -> None:
    """The same for the database at an SQLAlchemy URL, for who has not opened it."""
    database = connect(url)
    try:
        upgrade(database)
    finally:
        database.close()


def check(database: Database) -> None:
    """Raises `SchemaMismatch` unless the database has exactly the schema of this code."""
    with reachable(), database.engine.connect() as connection:
        _refuse_unknown(connection)
        current = _current(connection)
    if current != _known()[-1]:
        raise SchemaMismatch(
            f"The database has schema {current or 'none'}, this code needs {_known()[-1]}: run `mindglm migrate`."
        )


def _refuse_unknown(connection: Connection) -> None:
    current = _current(connection)
    if current is not None and current not in _known():
        raise SchemaMismatch(
            f"The database has schema {current}, which this version does not know: it was written by a newer one. "
            "Install that version, or restore a backup."
        )


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _known() -> list[str]:
    """The revisions of this code, oldest first: they are numbered, and their files begin with the number."""
    return sorted(file.name.partition("_")[0] for file in (_directory() / "versions").glob("[0-9]*.py"))


def _directory() -> Path:
    (directory,) = map(Path, migrations.__path__)
    return directory
