"""Brings a database to the schema of this code, and refuses one that this code cannot serve.

Migrations only add, so that the version before goes on serving while they run and after them. One that takes something
away says in the table ``compatibility`` which schema a version must know at least.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

import migrations
from dialogue.errors import SchemaMismatch
from dialogue.storage.database import Database, be_patient, connect, reachable

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 0x6D696E64676C6D  # "mindglm": two upgrades at once wait for each other on PostgreSQL
_PATIENCE = "400ms"
"""A change of a table waits for whoever uses it, and everybody else then waits for the change: not for longer.

Shorter than PostgreSQL's `deadlock_timeout`, so that of a migration and the version that still serves, it is always the
migration that gives way and tries again.
"""
_KEEPS_TRYING_SECONDS = 120.0
_LOCK_CONFLICTS = {"55P03", "40P01"}  # lock_not_available, deadlock_detected


def _is_lock_conflict(error: BaseException) -> bool:
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", None) in _LOCK_CONFLICTS


def upgrade(database: Database) -> None:
    """Run the missing migrations, each in a transaction of its own.

    Raises `SchemaMismatch` if the database is too new for this code, `DatabaseUnavailable` where a table is never free.
    """
    from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random  # who only checks needs none of it

    patiently = Retrying(
        retry=retry_if_exception(_is_lock_conflict),
        stop=stop_after_delay(_KEEPS_TRYING_SECONDS),
        wait=wait_random(0.1, 0.5),
        reraise=True,
    )
    while patiently(_run_next, database):
        pass


def _run_next(database: Database) -> bool:
    """Whether there was a migration to run."""
    with reachable(), database.engine.begin() as connection:
        be_patient(connection)
        exclude_others(connection)
        if is_ahead(connection) or current(connection) == known()[-1]:
            return False
        _alembic_upgrade(connection, "+1")
        return True


def upgrade_at(url: str) -> None:
    """The same for the database at an SQLAlchemy URL, for who has not opened it."""
    database = connect(url)
    try:
        upgrade(database)
    finally:
        database.close()


def check(database: Database) -> None:
    """Raises `SchemaMismatch` unless this code can serve the database: it has this schema, or one that added to it."""
    with reachable(), database.engine.connect() as connection:
        found = current(connection)
        if found == known()[-1] or is_ahead(connection):
            return
    raise SchemaMismatch(
        f"The database has schema {found or 'none'}, this code needs {known()[-1]}: run `mindglm migrate`."
    )


def is_ahead(connection: Connection) -> bool:
    """Whether a newer version upgraded this database, and left it so that this code can serve it.

    Raises `SchemaMismatch` where it cannot.
    """
    found = current(connection)
    if found is None or found in known():
        return False
    needed = _needed(connection)
    if needed is not None and needed <= known()[-1]:
        return True
    raise SchemaMismatch(
        f"The database has schema {found}, which this version does not know: it was written by a newer one. "
        "Install that version, or restore a backup."
    )


def exclude_others(connection: Connection) -> None:
    """Until the transaction ends nobody else upgrades or restores; SQLite's writers are alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}'"))


def begin_at(connection: Connection, revision: str) -> None:
    """Give an empty database the schema of `revision`; raises `SchemaMismatch` if this code does not know it."""
    if revision not in known():
        raise SchemaMismatch(f"This is of schema {revision}, which this version does not know; install a newer one.")
    from alembic import command

    if current(connection) is not None:
        command.downgrade(_configured(connection), "base")
    command.upgrade(_configured(connection), revision)


def finish(connection: Connection) -> None:
    """Run the missing migrations in the transaction that is open."""
    _alembic_upgrade(connection, "head")


def current(connection: Connection) -> str | None:
    """The revision that the database has; None for one without tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def known() -> list[str]:
    """The revisions of this code, oldest first: they are numbered, and their files begin with the number."""
    return sorted(file.name.partition("_")[0] for file in (_directory() / "versions").glob("[0-9]*.py"))


def _needed(connection: Connection) -> str | None:
    """The oldest schema that a version may know to serve this database."""
    if not inspect(connection).has_table("compatibility"):
        return None
    oldest: str | None = connection.scalar(text("SELECT max(oldest_schema) FROM compatibility"))
    return oldest


def _alembic_upgrade(connection: Connection, revision: str) -> None:
    from alembic import command  # processes that only check need not load it

    command.upgrade(_configured(connection), revision)


def _configured(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_directory()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _directory() -> Path:
    (directory,) = map(Path, migrations.__path__)
    return directory
