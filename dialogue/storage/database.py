"""Database access for PostgreSQL and SQLite: one transaction per use case, committed only here."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import URL, Connection, Dialect, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    InvalidatePoolError,
    NoSuchModuleError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from dialogue.errors import DatabaseDamaged, DatabaseUnavailable, Misconfigured
from dialogue.storage import after_commit
from dialogue.storage.after_commit import Announce, Hints, QueueingSession
from dialogue.storage.prepared import PreparedStatements, PreparingSession
from dialogue.storage.writer_queue import WriterQueue

_MAX_IDLE_WAL_BYTES = 16 * 1024 * 1024
_SQLITE_PRAGMAS = (
    "journal_mode = WAL",  # readers never wait for the writer
    "synchronous = FULL",  # a committed message survives the power going off
    "foreign_keys = ON",
    "secure_delete = ON",  # what is deleted is overwritten
    "temp_store = MEMORY",  # sorted rows leave no file behind
    f"journal_size_limit = {_MAX_IDLE_WAL_BYTES}",
)
_INCREMENTAL = 2
"""auto_vacuum, set before the first table: the file can be shortened (`dialogue.storage.residue`)."""
_BUSY_SECONDS = 15
_ABANDONED_SECONDS = 10.0
"""idle_in_transaction_session_timeout: crisis words must not wait for the locks of a frozen process."""
_DAMAGED = ("malformed", "file is not a database")
"""SQLITE_CORRUPT and SQLITE_NOTADB: https://www.sqlite.org/rescode.html"""
_BEGINS = "mindglm_begins"
"""In a connection's `info`: how its next transaction begins."""
_READING = {_BEGINS: "reading"}
_WRITING = {_BEGINS: "writing"}
_HASTY = {_BEGINS: "hasty"}
_BARE = {_BEGINS: "bare"}
_SYNCHRONOUS = "mindglm_synchronous"
_THRESHOLD = "prepare_threshold"
_USED_AT = "mindglm_used_at"
_FRESH_SECONDS = 1.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Database:
    """Opens transactions; shared by all threads of a process. `announce` is told what each of them queued."""

    def __init__(self, engine: Engine, announce: Announce | None = None) -> None:
        self.engine = engine
        self._announce = announce
        self._writer = WriterQueue() if engine.dialect.name == "sqlite" else None
        self._statements = PreparedStatements(engine.dialect)

    @contextmanager
    def begin(self, *, is_hasty: bool = False) -> Iterator[Session]:
        """One writing transaction: commits on leaving, rolls back on an error; raises `DatabaseUnavailable`.

        Hints queued during the transaction are announced after the commit (`dialogue.storage.after_commit`).
        `is_hasty`: on SQLite the disk is not waited for. No process that dies takes the commit with it; power that goes
        off may, unless another commit has followed. Only for what nobody outside has been told of before that one.
        """
        with (
            self._in_a_row(),
            reachable(),
            QueueingSession(
                self.engine, self._statements, told=_HASTY if is_hasty else _WRITING
            ).committing() as session,
        ):
            yield session
        self._hand_over(after_commit.queued(session))

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One reading transaction, which on SQLite waits for no writer; raises `DatabaseUnavailable`."""
        with reachable(), PreparingSession(self.engine, self._statements, told=_READING).committing() as session:
            yield session

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection]:
        """On SQLite, a connection for what no transaction can do, as the only writer of this process.

        Nothing is begun or committed for the caller. Raises `DatabaseUnavailable`.
        """
        with self._in_a_row(), reachable(), self.engine.connect() as connection:
            info = connection.info
            info.update(_BARE)
            try:
                yield connection
            finally:
                info.pop(_BEGINS, None)

    def announcing(self, announce: Announce) -> "Database":
        """The same database with another announcer."""
        other = Database(self.engine, announce)
        other._writer = self._writer
        return other

    def close(self) -> None:
        self.engine.dispose()

    def _hand_over(self, hints: Hints) -> None:
        """Runs after the commit, so errors are only logged."""
        if self._announce is None or not hints:
            return
        try:
            self._announce(hints)
        except Exception as error:  # noqa: BLE001 - a hint that fails must not look like a failed commit
            log.error("announcement_failed", error=type(error).__name__)  # noqa: TRY400 - it may hold texts

    @contextmanager
    def _in_a_row(self) -> Iterator[None]:
        """SQLite has one writer at a time: the threads of a process queue for it."""
        if self._writer is None:
            yield
            return
        if not self._writer.acquire(_BUSY_SECONDS):
            raise DatabaseUnavailable("The database cannot be used: other writers of this process hold it.")
        try:
            yield
        finally:
            self._writer.release()


def connect(
    url: str, *, pool_size: int = 20, lock_seconds: float | None = None, announce: Announce | None = None
) -> Database:
    """Create a database for `url` without connecting yet. Raises `Misconfigured` if it is not a SQLAlchemy URL.

    On PostgreSQL, waiting longer than `lock_seconds` for a row lock raises `DatabaseUnavailable`. With
    ``?prepare_threshold=none`` in the URL nothing outlives a transaction, as PgBouncer's transaction mode demands.
    """
    try:
        parsed, is_pooled, threshold = _without_preparing(make_url(url))
        options: dict[str, Any] = {"hide_parameters": True, "pool_size": pool_size, "pool_use_lifo": True}
        if parsed.get_backend_name() == "sqlite":
            options |= {"connect_args": {"timeout": _BUSY_SECONDS, "check_same_thread": False}}
        elif threshold is not None:
            options |= {"connect_args": threshold}
        engine = create_engine(parsed, max_overflow=pool_size, **options)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        raise Misconfigured(f"MINDGLM_DATABASE_URL cannot be used ({type(error).__name__}); {_EXAMPLES}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        engine.dialect.do_begin = _begin_sqlite  # type: ignore[method-assign]  # a listener costs a sixth of a transaction
    elif engine.dialect.name == "postgresql":
        for moment in ("connect", "checkin"):
            event.listen(engine, moment, _note_use)
        event.listen(engine, "checkout", partial(_ask_if_idle, engine.dialect))
        settings = _session_settings(lock_seconds)
        if is_pooled:
            event.listen(engine, "begin", partial(_set_locally, settings))
        else:
            event.listen(engine, "connect", partial(_prepare_postgresql, settings))
    else:
        raise Misconfigured(f"MINDGLM_DATABASE_URL names {engine.dialect.name}, which is not supported; {_EXAMPLES}")
    return Database(engine, announce)


_EXAMPLES = "examples: postgresql+psycopg://user:password@host/mindglm, sqlite:////var/lib/mindglm/mindglm.db"


def sqlite_url(file: Path) -> str:
    """The URL of a database file."""
    return f"sqlite:///{file}"


def insert_or_ignore(session: Session, table: Table, values: dict[str, Any]) -> None:
    """Insert the row unless a unique index forbids it."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(dialect.insert(table).values(values).on_conflict_do_nothing())


def wait_for_no_writer(connection: Connection) -> None:
    """On SQLite, the next transaction of the connection only reads."""
    connection.info.update(_READING)


def be_patient(connection: Connection) -> None:
    """Lift the idle timeout for this transaction: a backup pauses between reads."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


@contextmanager
def reachable() -> Iterator[None]:
    """Turns every error that is not the values' own fault into `DatabaseUnavailable`.

    Also a read-only standby, missing rights or columns, and a pool whose connections are all taken.
    """
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable("The database cannot be used: all connections are taken.") from error
    except DBAPIError as error:
        if isinstance(error, DataError | IntegrityError) and not error.connection_invalidated:
            raise
        if any(words in str(error.orig) for words in _DAMAGED):
            raise DatabaseDamaged from error
        raise DatabaseUnavailable(_reason(error)) from error


def _reason(error: DBAPIError) -> str:
    """The driver's own first line; statements and values stay out of it."""
    lines = str(error.orig).strip().splitlines()
    return f"The database cannot be used: {lines[0] if lines else type(error.orig).__name__}"


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # no implicit BEGIN by sqlite3; see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA auto_vacuum")
    if cursor.fetchone() != (_INCREMENTAL,):  # setting it again takes the writer's lock
        cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _note_use(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _ask_if_idle(
    dialect: Dialect, connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Whether the server still holds a connection that was unused for a while; the pool opens others if not.

    One that was used just now is not asked: that would be a round trip more in every transaction.
    """
    if time.monotonic() - record.info.get(_USED_AT, -math.inf) < _FRESH_SECONDS:
        return
    try:
        is_alive = dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error:
        is_alive = False
    if not is_alive:
        raise InvalidatePoolError


def _without_preparing(url: URL) -> tuple[URL, bool, dict[str, Any] | None]:
    """The URL without its ``prepare_threshold``, whether that switches prepared statements off, and its value."""
    if _THRESHOLD not in url.query:
        return url, False, None
    said = str(url.query[_THRESHOLD]).strip().lower()
    is_off = said in {"", "0", "none", "null", "off", "false"}
    return url.difference_update_query([_THRESHOLD]), is_off, {_THRESHOLD: None if is_off else int(said)}


def _session_settings(lock_seconds: float | None) -> dict[str, int]:
    """In milliseconds."""
    settings = {"idle_in_transaction_session_timeout": round(_ABANDONED_SECONDS * 1000)}
    return settings if lock_seconds is None else {"lock_timeout": round(lock_seconds * 1000), **settings}


def _prepare_postgresql(settings: dict[str, int], connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for name, milliseconds in settings.items():
        cursor.execute(f"SET {name} = {milliseconds}")
    cursor.close()
    connection.commit()


def _set_locally(settings: dict[str, int], connection: Connection) -> None:
    """Another connection to the server may serve the next transaction."""
    connection.exec_driver_sql("; ".join(f"SET LOCAL {name} = {value}" for name, value in settings.items()))


def _begin_sqlite(dbapi_connection: PoolProxiedConnection) -> None:
    """Writers use BEGIN IMMEDIATE: a deferred transaction that has read cannot be upgraded while another one writes.

    Whose connection says nothing writes, and waits for the disk.
    """
    begins = dbapi_connection.info.get(_BEGINS)
    if begins == _BARE[_BEGINS]:
        return
    dbapi_connection.info.pop(_BEGINS, None)
    cursor = dbapi_connection.cursor()
    if begins == _READING[_BEGINS]:
        cursor.execute("BEGIN DEFERRED")
        return
    wanted = "NORMAL" if begins == _HASTY[_BEGINS] else "FULL"
    if wanted != dbapi_connection.info.get(_SYNCHRONOUS, "FULL"):
        cursor.execute(f"PRAGMA synchronous = {wanted}")
        dbapi_connection.info[_SYNCHRONOUS] = wanted
    cursor.execute("BEGIN IMMEDIATE")
