"""What deleted rows leave behind in the database's files, and how it goes away.

SQLite overwrites deleted rows (`secure_delete`), but a page that was rearranged earlier may still hold an old copy of
a row in its free space, and the WAL holds pages as they were: https://www.sqlite.org/pragma.html#pragma_secure_delete
PostgreSQL keeps the old version of a row until a vacuum, and its bytes until the page is written anew.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, Table

from dialogue.storage.database import Database, reachable

MAX_REWRITTEN_BYTES = 32 * 1024 * 1024
"""Largest table that PostgreSQL writes anew; nobody else can use the table meanwhile (decision 0104)."""
_LOCK_SECONDS = 0.1
_CHECKPOINT_SECONDS = 0.2
_PAGES_A_STEP = 500
_MAX_STEPS = 40
_MIN_FREE_PAGES = 1000
_MIN_FREE_SHARE = 0.1


def truncate_wal(database: Database) -> bool:
    """Move everything from SQLite's WAL into the database file and cut the WAL to nothing.

    False while a reader still needs it; True on PostgreSQL, which has no such file.
    """
    if database.engine.dialect.name != "sqlite":
        return True
    with database.outside_transactions() as connection:
        milliseconds = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_CHECKPOINT_SECONDS * 1000:.0f}")
        try:
            is_busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds}")
    return not is_busy


def rewrite(database: Database, table: Table) -> bool:
    """On SQLite, write all rows of the table into fresh pages and overwrite the old ones; False while a reader is busy.

    Writers wait until it is done.
    """
    if not truncate_wal(database):
        return False  # would be in vain
    with database.outside_transactions() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")  # every row comes back
        try:
            _rewrite(connection, table.name)
        finally:
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
    return truncate_wal(database)


def vacuum(database: Database, table: Table) -> datetime | None:
    """On PostgreSQL, vacuum the table: row versions that were outdated at the returned time are gone.

    A table of at most `MAX_REWRITTEN_BYTES` is written anew, so that their bytes are gone too. Raises
    `DatabaseUnavailable` while others use the table.
    """
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with reachable(), engine.connect() as connection:
        outdated_at: datetime | None = connection.exec_driver_sql(_OLDEST_SNAPSHOT).scalar()
        size: int = connection.exec_driver_sql(f"SELECT pg_table_size('{table.name}')").scalar_one()
        before = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
        connection.exec_driver_sql(f"SET lock_timeout = {_LOCK_SECONDS * 1000:.0f}")
        try:
            connection.exec_driver_sql(f"VACUUM {'(FULL) ' if size <= MAX_REWRITTEN_BYTES else ''}{table.name}")
        finally:
            connection.exec_driver_sql(f"SET lock_timeout = '{before}'")
    return outdated_at


def give_back_pages(database: Database, *, pause: Callable[[], bool]) -> int:
    """Shorten SQLite's file by most of its free pages, in small steps until `pause` says stop; returns how many.

    At most 80 MB a call.
    """
    if database.engine.dialect.name != "sqlite":
        return 0
    given_back = 0
    for _ in range(_MAX_STEPS):
        with database.outside_transactions() as connection:
            free, total = (_number(connection, name) for name in ("freelist_count", "page_count"))
            is_shrinkable = _number(connection, "auto_vacuum") == _INCREMENTAL
            if not is_shrinkable or free < max(_MIN_FREE_PAGES, total * _MIN_FREE_SHARE):
                return given_back
            # one row without columns for each page: `execute` would stop after the first
            connection.connection.cursor().executescript(f"PRAGMA incremental_vacuum({_PAGES_A_STEP})")
            given_back += free - _number(connection, "freelist_count")
        if pause():
            break
    return given_back


def make_shrinkable(database: Database) -> bool:
    """Convert a SQLite file of an older version, so that `give_back_pages` can work; writers wait meanwhile.

    Returns whether it was converted.
    """
    if database.engine.dialect.name != "sqlite":
        return False
    with database.outside_transactions() as connection:
        if _number(connection, "auto_vacuum") == _INCREMENTAL:
            return False
        connection.exec_driver_sql("PRAGMA auto_vacuum = INCREMENTAL")
        connection.exec_driver_sql("VACUUM")
    return True


_INCREMENTAL = 2
_REWRITE = (
    "CREATE TEMP TABLE kept AS SELECT * FROM main.{table} ORDER BY rowid",  # in memory (`temp_store`)
    "DELETE FROM main.{table}",
    "INSERT INTO main.{table} SELECT * FROM kept ORDER BY rowid",
    "DROP TABLE kept",
)
# nobody's snapshot is older than this, so whatever was outdated by then is nobody's business any more
_OLDEST_SNAPSHOT = (
    "SELECT least(clock_timestamp(), min(xact_start)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
)


def _rewrite(connection: Connection, table: str) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        for statement in _REWRITE:
            connection.exec_driver_sql(statement.format(table=table))
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise


def _number(connection: Connection, pragma: str) -> int:
    number: int = connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()
    return number
