"""Restores a backup into an empty database, of either kind and of this version's schema or an older one.

Turns and deliveries that were in progress when the backup was written are not resumed: they have ended one way or the
other since then, and sending a reply again days later would do harm.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Connection, DateTime, Table, Uuid, func, insert, select, update
from sqlalchemy.orm import Session

from dialogue.backup import archive
from dialogue.backup.archive import BackupUnusable
from dialogue.backup.dump import KEYS, LARGE_ROWS, LARGE_ROWS_AT_ONCE, ROWS_AT_ONCE, tables_of
from dialogue.core import people
from dialogue.errors import DialogueError
from dialogue.states import OPEN_TURN_STATES, OWED_DELIVERY_STATES, DeliveryState, TurnState
from dialogue.storage import schema
from dialogue.storage.database import Database, be_patient, reachable
from dialogue.tables import DELIVERIES, PEOPLE, TURNS

RESTORED = "restored"
"""The error of a delivery that was pending when its backup was written."""

_END_TURNS = (
    update(TURNS)
    .where(TURNS.c.state.in_(OPEN_TURN_STATES))
    .values(state=TurnState.DISCARDED, owner=None, lease_until=None)
)
_END_DELIVERIES = (
    update(DELIVERIES)
    .where(DELIVERIES.c.state.in_(OWED_DELIVERY_STATES))
    .values(state=DeliveryState.FAILED, owner=None, lease_until=None, error=RESTORED)
)
_WITHOUT_A_KEY = select(PEOPLE.c.id).where(PEOPLE.c.data_key.is_(None), PEOPLE.c.erased_at.is_(None))


class NotEmpty(DialogueError):
    """The database holds rows already; a backup is restored into an empty one only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Counts of what was restored and what was left out."""

    counts: dict[str, int]
    erased_count: int  # erased after the backup was written
    turn_count: int  # not resumed
    delivery_count: int  # not resumed


def restore(database: Database, path: Path, *, now: datetime) -> Restored:
    """Load the backup at `path`, with the key file beside it, in one transaction.

    Raises `BackupUnusable`, `NotEmpty`, `SchemaMismatch`, `DatabaseUnavailable`.
    """
    header = archive.verify(path)
    keys = _read_keys(path.with_name(KEYS))
    with reachable(), database.engine.begin() as connection:
        be_patient(connection)
        schema.exclude_others(connection)
        _refuse_occupied(connection)
        schema.begin_at(connection, str(header["schema"]))
        counts = _load(connection, path, keys)
        schema.finish(connection)
        return _settle(connection, counts, now)


def _read_keys(path: Path) -> dict[UUID, bytes]:
    rows = (line for line in archive.read(path) if isinstance(line, list))
    return {row[0]: row[1] for row in ([archive.decode(value) for value in row] for row in rows)}  # type: ignore[misc]  # as written


def _refuse_occupied(connection: Connection) -> None:
    for table in tables_of(connection):
        if connection.scalar(select(func.count()).select_from(select(table).limit(1).subquery())):
            raise NotEmpty


def _load(connection: Connection, path: Path, keys: dict[UUID, bytes]) -> dict[str, int]:
    tables = {table.name: table for table in tables_of(connection)}
    lines = archive.read(path)
    next(lines)
    counts: dict[str, int] = {}
    for table, rows in _by_table(lines, tables, path):
        counts[table.name] = 0
        complete = _with_keys(rows, keys) if table.name == PEOPLE.name else rows
        at_once = LARGE_ROWS_AT_ONCE if table.name in LARGE_ROWS else ROWS_AT_ONCE
        while batch := list(islice(complete, at_once)):
            connection.execute(insert(table), batch)
            counts[table.name] += len(batch)
    return counts


def _by_table(
    lines: Iterator[Any], tables: dict[str, Table], path: Path
) -> Iterator[tuple[Table, Iterator[dict[str, Any]]]]:
    """Each table with an iterator of its rows, to be exhausted before the next table."""
    heading = next(lines, None)
    while heading is not None:
        table = tables.get(heading["table"])
        if table is None or not set(heading["columns"]) <= set(table.columns.keys()):
            raise BackupUnusable(f"{path} has a table or column that its schema does not have: {heading['table']}.")
        following: list[Any] = []
        yield table, _rows(lines, [table.columns[name] for name in heading["columns"]], following)
        heading = following[0] if following else None


def _rows(lines: Iterator[Any], columns: list[Column[Any]], following: list[Any]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if isinstance(line, dict):
            following.append(line)
            return
        yield {column.name: _fit(value, column) for column, value in zip(columns, line, strict=True)}


def _fit(value: object, column: Column[Any]) -> object:
    """The two databases differ in how they keep ids and times."""
    decoded = archive.decode(value)
    if isinstance(column.type, Uuid) and isinstance(decoded, str):
        return UUID(decoded)
    if isinstance(decoded, UUID) and not isinstance(column.type, Uuid):
        return decoded.hex
    if isinstance(column.type, DateTime) and isinstance(decoded, str):
        return datetime.fromisoformat(decoded).replace(tzinfo=UTC)
    return decoded


def _with_keys(rows: Iterable[dict[str, Any]], keys: dict[UUID, bytes]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {**row, "data_key": keys.get(row["id"] if isinstance(row["id"], UUID) else UUID(row["id"]))}


def _settle(connection: Connection, counts: dict[str, int], now: datetime) -> Restored:
    """Ends what was in progress, and keeps people erased who were erased after the backup."""
    with Session(connection) as session:
        erased = list(session.scalars(_WITHOUT_A_KEY))
        for person_id in erased:
            people.set_aside(session, person_id, now=now)
        session.flush()
        return Restored(
            counts=counts,
            erased_count=len(erased),
            turn_count=connection.execute(_END_TURNS).rowcount,
            delivery_count=connection.execute(_END_DELIVERIES).rowcount,
        )
