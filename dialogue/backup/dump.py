"""Writes a backup from one consistent view of the database, row by row, while everything else goes on."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, MetaData, Table, select

from dialogue.backup import archive
from dialogue.storage import schema
from dialogue.storage.database import Database, be_patient, reachable, wait_for_no_writer
from dialogue.tables import MEDIUM_CHUNKS, PEOPLE, PROCESSES, RESET_ORDERS, Compatibility

KEYS = "keys.jsonl.gz"
"""Name of the file with the wrapped data keys of everyone not erased; each backup of the directory replaces it."""

_LOCK = "keys.lock"
_SUFFIX = ".jsonl.gz"
_PREFIX = "mindglm-"
_NAME = f"{_PREFIX}%Y%m%dT%H%M%SZ{_SUFFIX}"
ROWS_AT_ONCE = 500
LARGE_ROWS_AT_ONCE = 16
LARGE_ROWS = {MEDIUM_CHUNKS.name}
"""Tables whose rows are large: as few as take no more memory than the rows of the others."""
_KEY_ID_BYTES = 4
_LEFT_OUT = {PROCESSES.name, RESET_ORDERS.name, Compatibility.__tablename__, "alembic_version"}
"""Of no use after a restart, or written by the migrations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a backup holds; `key_ids` name the master keys that open it."""

    path: Path
    counts: dict[str, int]
    key_ids: list[str]


def dump(database: Database, directory: Path, *, now: datetime) -> Written:
    """Write a backup and the keys into `directory`. Raises `DatabaseUnavailable`, `SchemaMismatch`, `OSError`."""
    schema.check(database)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / now.strftime(_NAME)
    with _snapshot(database) as connection:
        revision = schema.current(connection)
        tables = tables_of(connection)
        with archive.writing(path) as rows:
            rows.header(created_at=now.isoformat(), schema=revision, keys=KEYS)
            for table in tables:
                _write_table(connection, table, rows, without={"data_key"} if table.name == PEOPLE.name else set())
    return Written(path=path, counts=rows.counts, key_ids=sorted(_write_keys(database, directory, now=now)))


def refresh_keys(database: Database, directory: Path, *, now: datetime | None = None) -> None:
    """Write the keys beside the backups anew, if there are any: those of people erased since then are gone.

    Raises `DatabaseUnavailable`, `OSError`.
    """
    if any((directory / name).exists() for name in (KEYS, f"{KEYS}.partial")):
        _write_keys(database, directory, now=now or datetime.now(UTC))


def prune(directory: Path, *, keep: int) -> list[Path]:
    """Delete all but the newest backups; returns the deleted ones."""
    old = sorted(directory.glob(f"{_PREFIX}*{_SUFFIX}"))[:-keep]
    for path in old:
        path.unlink()
    return old


def newest_at(directory: Path) -> datetime | None:
    """When the newest backup was started."""
    names = sorted(path.name for path in directory.glob(f"{_PREFIX}*{_SUFFIX}"))
    if not names:
        return None
    return datetime.strptime(names[-1], _NAME).replace(tzinfo=UTC)


def tables_of(connection: Connection) -> list[Table]:
    """The tables of the database, referenced ones first."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name not in _LEFT_OUT]


@contextmanager
def _snapshot(database: Database) -> Iterator[Connection]:
    """A repeatable-read transaction; it blocks no writer."""
    with reachable():
        engine = database.engine
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with engine.connect() as connection:
            wait_for_no_writer(connection)
            with connection.begin():
                be_patient(connection)
                yield connection.execution_options(stream_results=True, yield_per=ROWS_AT_ONCE)


def _write_table(connection: Connection, table: Table, rows: archive.Writer, *, without: set[str]) -> None:
    columns = [column for column in table.columns if column.name not in without]
    rows.begin_table(table.name, [column.name for column in columns])
    at_once = LARGE_ROWS_AT_ONCE if table.name in LARGE_ROWS else ROWS_AT_ONCE
    for row in connection.execute(select(*columns), execution_options={"yield_per": at_once}):
        rows.row(row)


def _write_keys(database: Database, directory: Path, *, now: datetime) -> set[str]:
    """Returns the ids of the master keys.

    Read after the lock was taken and not from the backup's snapshot: a slower writer must not bring back the key of
    somebody erased meanwhile.
    """
    key_ids = set()
    wanted = select(PEOPLE.c.id, PEOPLE.c.data_key).where(PEOPLE.c.data_key.is_not(None))
    with _locked(directory), _snapshot(database) as connection, archive.writing(directory / KEYS) as keys:
        keys.header(created_at=now.isoformat(), schema=schema.current(connection))
        keys.begin_table(PEOPLE.name, ["id", "data_key"])
        for person_id, wrapped in connection.execute(wanted):
            key_ids.add(bytes(wrapped[:_KEY_ID_BYTES]).hex())
            keys.row([person_id, wrapped])
    return key_ids


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
