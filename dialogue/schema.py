"""Brings a database to the schema of this code, and refuses one that is ahead of it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import migrations
from dialogue.database import Database, reachable
from dialogue.errors import SchemaMismatch

_LOCK = 0x6D696E64676C6D  # "mindglm": two upgrades at once wait for each other on PostgreSQL


def upgrade(database: Database) -> None:
    """Run the missing migrations; raises `SchemaMismatch` if the database is newer than this code."""
    with reachable(), database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        _refuse_unknown(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check(database: Database) -> None:
    """Raises `SchemaMismatch` unless the database has exactly the schema of this code."""
    with reachable(), database.engine.connect() as connection:
        _refuse_unknown(connection)
        current = _current(connection)
    if current != _script().get_current_head():
        raise SchemaMismatch(
            f"The database has schema {current or 'none'}, this code needs {_script().get_current_head()}: "
            "run `mindglm migrate`."
        )


def _refuse_unknown(connection: Connection) -> None:
    current = _current(connection)
    known = {revision.revision for revision in _script().walk_revisions()}
    if current is not None and current not in known:
        raise SchemaMismatch(
            f"The database has schema {current}, which this version does not know: it was written by a newer one. "
            "Install that version, or restore a backup."
        )


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    (directory,) = map(Path, migrations.__path__)
    config.set_main_option("script_location", str(directory).replace("%", "%%"))
    return config
