"""How our classes become tables: the types of columns, the names of constraints."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, DateTime, Dialect, Enum, LargeBinary, MetaData, String, literal_column
from sqlalchemy import Table as CoreTable
from sqlalchemy import text as sql
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, Uuid

from care.age import AgeBand
from dialogue.states import (
    CaseKind,
    CaseOutcome,
    ClosedBy,
    DeliveryKind,
    DeliveryState,
    MediumKind,
    MediumLoss,
    MediumState,
    NoteKind,
    Role,
    TurnState,
)

Figure = str | int | float | None
"""What a process tells of itself: counts, seconds, names; never anything of a person."""


class Utc(TypeDecorator[datetime]):
    """Aware UTC everywhere, also on SQLite, which keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        return _as_sqlite_keeps_it if dialect.name == "sqlite" else super().bind_processor(dialect)

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def _as_sqlite_keeps_it(value: datetime | None) -> str | None:
    """The same text as SQLAlchemy's, in a fraction of its time."""
    if value is None:
        return None
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


class _Spelled(TypeDecorator.Comparator[Any]):
    def operate(self, op: OperatorType, *others: Any, **options: Any) -> ColumnElement[Any]:
        return super().operate(op, *map(_spelled_out, others), **options)


class LiteralWords(TypeDecorator[StrEnum]):
    """An enum's words: a new one needs no migration.

    What such a column is compared with stands in the statement itself, and is no value bound at each execution: only
    then can a database tell that a partial index (`only_where`) holds all rows that are asked for. PostgreSQL tells it
    from what a condition means; SQLite wants the index's own condition, word for word, beside any that is narrower.
    """

    impl = Enum
    cache_ok = True
    comparator_factory = _Spelled

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__(
            words, native_enum=False, length=16, values_callable=lambda members: [member.value for member in members]
        )
        self.words = words


def _spelled_out(compared: Any) -> Any:
    """Words as literals, also those of an IN; anything else as it is."""
    if isinstance(compared, StrEnum):
        return literal_column(f"'{compared.value}'")
    if isinstance(compared, tuple | list | set | frozenset):
        return [_spelled_out(each) for each in compared]
    return compared


class Table(DeclarativeBase):
    """All tables; constraints are named so that migrations can find them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way of declaring it
        datetime: Utc(),
        UUID: Uuid(),
        bytes: LargeBinary(),
        str: String(),
        TurnState: LiteralWords(TurnState),
        DeliveryState: LiteralWords(DeliveryState),
        DeliveryKind: LiteralWords(DeliveryKind),
        ClosedBy: LiteralWords(ClosedBy),
        AgeBand: LiteralWords(AgeBand),
        dict[str, Figure]: JSON(),
        Role: LiteralWords(Role),
        CaseKind: LiteralWords(CaseKind),
        CaseOutcome: LiteralWords(CaseOutcome),
        NoteKind: LiteralWords(NoteKind),
        MediumKind: LiteralWords(MediumKind),
        MediumState: LiteralWords(MediumState),
        MediumLoss: LiteralWords(MediumLoss),
    }


def core(table: type[Table]) -> CoreTable:
    """The same table for statements that are built once: building one costs ten times its execution."""
    return cast("CoreTable", table.__table__)


def only_where(condition: str) -> dict[str, Any]:
    """An index of only the rows that fulfil it, on both databases."""
    return {"sqlite_where": sql(condition), "postgresql_where": sql(condition)}
