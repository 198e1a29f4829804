"""Brings a database to the schema of this code, and refuses one that this code cannot serve.

Migrations only add, so that the previous version keeps serving during and after them. A migration that removes
something writes to the table ``compatibility`` which schema a version must know at least.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

import migrations
from dialogue.errors import SchemaMismatch
from dialogue.storage.database import Database, be_patient, connect, reachable

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

_LOCK = 0x6D696E64676C6D  # "mindglm": two upgrades at once wait for each other on PostgreSQL
_PATIENCE = "400ms"
"""lock_timeout for DDL: a blocked ALTER TABLE blocks all readers behind it.

Shorter than PostgreSQL's `deadlock_timeout`, so that in a deadlock between a migration and the running version it is
always the migration that aborts and retries.
"""
_KEEPS_TRYING_SECONDS = 120.0
_LOCK_CONFLICTS = {"55P03", "40P01"}  # lock_not_available, deadlock_detected


def _is_lock_conflict(error: BaseException) -> bool:
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", None) in _LOCK_CONFLICTS


def upgrade(database: Database) -> None:
    """Run the missing migrations, each in a transaction of its own.

    Raises `SchemaMismatch` if the database is too new for this code, `DatabaseUnavailable` if a table stays locked.
    """
    if _is_served(database):
        return
    from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random  # most starts find nothing missing

    patiently = Retrying(
        retry=retry_if_exception(_is_lock_conflict),
        stop=stop_after_delay(_KEEPS_TRYING_SECONDS),
        wait=wait_random(0.1, 0.5),
        reraise=True,
    )
    while patiently(_run_next, database):
        pass


def _run_next(database: Database) -> bool:
    """Returns whether any migration ran."""
    with reachable(), database.engine.begin() as connection:
        be_patient(connection)
        exclude_others(connection)
        if is_ahead(connection) or current(connection) == known()[-1]:
            return False
        _alembic_upgrade(connection, "+1")
        return True


def upgrade_at(url: str) -> None:
    """As `upgrade`, for the database at a SQLAlchemy URL."""
    database = connect(url)
    try:
        upgrade(database)
    finally:
        database.close()


def _is_served(database: Database) -> bool:
    """Whether it has this code's schema or a compatible newer one. Raises `SchemaMismatch` where it is too new."""
    with reachable(), database.engine.connect() as connection:
        return current(connection) == known()[-1] or is_ahead(connection)


def check(database: Database) -> None:
    """Raises `SchemaMismatch` unless the database has this code's schema or a compatible newer one."""
    if _is_served(database):
        return
    with reachable(), database.engine.connect() as connection:
        found = current(connection)
    if found is None:
        raise SchemaMismatch("The database has no schema yet: run `mindglm migrate`.")
    raise SchemaMismatch(f"The database has schema {found}, this code needs {known()[-1]}: run `mindglm migrate`.")


def is_ahead(connection: Connection) -> bool:
    """Whether a newer version upgraded this database to a schema that this code can still serve.

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
    """Hold the lock on upgrades and restores until the transaction ends; SQLite has a single writer anyway."""
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
    _alembic_upgrade(connection, revision)


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
    """As Alembic's own command, which would read every revision again at each step."""
    from alembic.runtime.environment import EnvironmentContext  # processes that only check need not load it

    scripts = _scripts()
    context = EnvironmentContext(
        _configured(connection),
        scripts,
        fn=lambda found, _context: scripts._upgrade_revs(revision, found),  # noqa: SLF001 - as Alembic's own command
        destination_rev=revision,
    )
    with context:
        scripts.run_env()


@cache
def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(_directory()))


def _configured(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_directory()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _directory() -> Path:
    (directory,) = map(Path, migrations.__path__)
    return directory
