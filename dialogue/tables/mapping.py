"""How our classes become tables: the types of columns, the names of constraints."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, DateTime, Dialect, Enum, LargeBinary, MetaData, String, literal_column
from sqlalchemy import Table as CoreTable
from sqlalchemy import text as sql
from sqlalchemy.orm import DeclarativeBase
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

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def _names(states: type[StrEnum]) -> Enum:
    """Stored as the enum's words: a new state needs no migration."""
    return Enum(
        states, native_enum=False, length=16, values_callable=lambda members: [member.value for member in members]
    )


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
        TurnState: _names(TurnState),
        DeliveryState: _names(DeliveryState),
        DeliveryKind: _names(DeliveryKind),
        ClosedBy: _names(ClosedBy),
        AgeBand: _names(AgeBand),
        dict[str, Figure]: JSON(),
        Role: _names(Role),
        CaseKind: _names(CaseKind),
        CaseOutcome: _names(CaseOutcome),
        NoteKind: _names(NoteKind),
        MediumKind: _names(MediumKind),
        MediumState: _names(MediumState),
        MediumLoss: _names(MediumLoss),
    }


def core(table: type[Table]) -> CoreTable:
    """The same table for statements that are built once: building one costs ten times its execution."""
    return cast("CoreTable", table.__table__)


def only_where(condition: str) -> dict[str, Any]:
    """An index of only the rows that fulfil it, on both databases."""
    return {"sqlite_where": sql(condition), "postgresql_where": sql(condition)}


def spelled_out(*words: StrEnum) -> list[ColumnElement[Any]]:
    """For `column.in_(…)`: the words stand in the statement itself.

    Only then can a database tell that a partial index holds all rows that are asked for; and a list of values would be
    written into the statement anew at each execution, which costs as much as the rest of it.
    """
    return [literal_column(f"'{word.value}'") for word in words]
