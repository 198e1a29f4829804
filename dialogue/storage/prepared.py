"""Statements that are built once are prepared once: their text, and how values become the driver's and back.

SQLAlchemy compiles a statement once, too, but what it does around each execution takes twenty times as long as SQLite
does. A statement that is executed for the second time is run here without that; whatever is not plain (the ORM, long
lists, listeners to statements) is left to SQLAlchemy.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Self
from weakref import WeakKeyDictionary

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Connection,
    Delete,
    Dialect,
    Engine,
    Executable,
    Insert,
    Select,
    Update,
)
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.sql.compiler import SQLCompiler

_PLAIN = (Select, CompoundSelect, Insert, Update, Delete)
_MAX_LISTED = 16
"""Values of a list stand in the statement, which is prepared for each number of them."""

Values = Mapping[str, Any]
Convert = Callable[[Any], Any]


class Rows:
    """What a statement returned; whatever SQLAlchemy's results can do besides, they do."""

    def __init__(self, names: Sequence[str], rows: list[Any], rowcount: int) -> None:
        self._names = names
        self._rows = rows
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result(), name)

    def all(self) -> list[Any]:
        return self._rows

    def first(self) -> Any:
        return self._rows[0] if self._rows else None

    def one(self) -> Any:
        return self._rows[0] if len(self._rows) == 1 else self._result().one()

    def scalar(self) -> Any:
        return self._rows[0][0] if self._rows else None

    def _result(self) -> IteratorResult[Any]:
        return IteratorResult(SimpleResultMetaData(self._names), iter(self._rows))


class _Bound(NamedTuple):
    """Where a value stands in the statement, whose it is (of a list the one at that place), how the driver wants it."""

    at: int
    key: str
    place: int | None
    convert: Convert | None


class Prepared:
    """One statement for values of the same names, and lists of the same lengths."""

    def __init__(self, compiled: SQLCompiler, values: Values, dialect: Dialect) -> None:
        self._dialect = dialect
        self._sql, names, places = _expanded(compiled, values)
        self._bound: list[_Bound] = []
        self._constants: list[Any] = [None] * len(names)
        for at, name in enumerate(names):
            key, place = places.get(name, (name, None))
            self._bind(compiled.binds[key], at, place, values)
        self._names = None if compiled.positiontup is not None else names
        self._columns = [(entry.keyname, entry.type) for entry in compiled._result_columns]  # noqa: SLF001 - their only place
        self._row: Any = _row([name for name, _ in self._columns])
        self._converts: list[tuple[int, Convert]] | None = None

    def run(self, connection: Connection, cursor: Any, values: Sequence[Values]) -> Rows:
        """Raises what SQLAlchemy raises; `values` are one execution's, or those of several that return nothing."""
        try:
            if len(values) == 1:
                cursor.execute(self._sql, self._parameters(values[0]))
            else:
                cursor.executemany(self._sql, [self._parameters(each) for each in values])
            found = cursor.fetchall() if self._columns else []
        except self._dialect.loaded_dbapi.Error as error:
            connection._handle_dbapi_exception(error, self._sql, None, cursor, None)  # noqa: SLF001 - it knows lost connections
        return Rows(self._row._fields, self._rows(found, cursor) if found else [], cursor.rowcount)

    @property
    def returns_rows(self) -> bool:
        return bool(self._columns)

    def _bind(self, bind: BindParameter[Any], at: int, place: int | None, values: Values) -> None:
        convert = bind.type.dialect_impl(self._dialect).bind_processor(self._dialect)
        if bind.key in values or bind.required:
            self._bound.append(_Bound(at, bind.key, place, convert))
            return
        value: Any = bind.value
        value = value if place is None else value[place]
        self._constants[at] = value if convert is None else convert(value)

    def _parameters(self, values: Values) -> Any:
        found = self._constants.copy()
        for at, key, place, convert in self._bound:
            value = values[key] if place is None else values[key][place]
            found[at] = value if convert is None else convert(value)
        return found if self._names is None else dict(zip(self._names, found, strict=True))

    def _rows(self, found: list[Any], cursor: Any) -> list[Any]:
        converts = self._converts
        if converts is None:
            converts = self._converts = list(self._result_converts(cursor.description))
        make = partial(tuple.__new__, self._row)  # as the class's own, which is written in Python
        if not converts:
            return list(map(make, found))
        rows = []
        for row in found:
            values = list(row)
            for at, convert in converts:
                values[at] = convert(values[at])
            rows.append(make(values))
        return rows

    def _result_converts(self, described: Any) -> Iterator[tuple[int, Convert]]:
        for at, ((_, kind), column) in enumerate(zip(self._columns, described, strict=True)):
            convert = kind.dialect_impl(self._dialect).result_processor(self._dialect, column[1])
            if convert is not None:
                yield at, convert


class PreparedStatements:
    """Of one dialect; usable from any thread."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: WeakKeyDictionary[Executable, dict[tuple[object, ...], Prepared | None]] = WeakKeyDictionary()

    def find(self, statement: Executable, values: Sequence[Values]) -> Prepared | None:
        """None where SQLAlchemy executes it: what is not plain, and what is seen for the first time."""
        known = self._known.get(statement)
        if known is None:
            if isinstance(statement, _PLAIN):
                self._known[statement] = {}
            return None
        form = tuple([(name, len(each)) if isinstance(each, list) else name for name, each in values[0].items()])
        if form not in known:
            known[form] = self._prepared(statement, values[0])
        prepared = known[form]
        return None if prepared is None or (len(values) > 1 and prepared.returns_rows) else prepared

    def _prepared(self, statement: Any, values: Values) -> Prepared | None:
        lists = {name for name, each in values.items() if isinstance(each, list)}
        is_of_the_orm = bool(statement._propagate_attrs)  # noqa: SLF001 - how it marks its own
        if is_of_the_orm or any(len(values[name]) > _MAX_LISTED for name in lists):
            return None
        compiled = statement.compile(dialect=self._dialect, column_keys=sorted(values))
        is_plain = not (
            statement.get_execution_options()
            or compiled.literal_execute_params
            or any(bind.required and bind.key not in lists for bind in compiled.post_compile_params)
            or lists - {bind.key for bind in compiled.post_compile_params}
            or compiled.insert_prefetch
            or compiled.update_prefetch
            or compiled.escaped_bind_names
            or any(bind.callable is not None for bind in compiled.binds.values())
        )
        return Prepared(compiled, values, self._dialect) if is_plain else None


class PreparingSession(Session):
    """A session of one transaction, which begins with the first statement. Plain ones are executed here.

    What SQLAlchemy's session does besides (the ORM, savepoints) joins the connection's transaction.
    """

    def __init__(self, engine: Engine, statements: PreparedStatements, *, told: Mapping[str, str]) -> None:
        """`told`: what the connection's `info` says before the transaction begins."""
        super().__init__(expire_on_commit=False)
        self._engine = engine
        self._statements = statements
        self._told = told
        self._begun: Connection | None = None
        self._cursor: Any = None

    @contextmanager
    def committing(self) -> Iterator[Self]:
        """Commits on leaving, rolls back on an error."""
        try:
            yield self
            if self.in_transaction():
                self.commit()
            if self._begun is not None:
                self._begun.commit()
        finally:
            if self.in_transaction():
                self.close()
            if self._begun is not None:
                self._begun.close()

    def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """As SQLAlchemy's, which documents it."""
        values = (params,) if isinstance(params, Mapping) else params or ({},)
        prepared = None if options else self._statements.find(statement, values)
        if prepared is None:
            return super().execute(statement, params, **options)
        connection = self._begun or self._begin()
        if connection.dispatch.before_cursor_execute:
            return super().execute(statement, params, **options)
        if self._cursor is None:
            self._cursor = connection.connection.cursor()
        return prepared.run(connection, self._cursor, values)

    def scalar(self, statement: Any, params: Any = None, **options: Any) -> Any:
        return self.execute(statement, params, **options).scalar()

    def scalars(self, statement: Any, params: Any = None, **options: Any) -> Any:
        return self.execute(statement, params, **options).scalars()

    def begin_nested(self) -> SessionTransaction:
        transaction = super().begin_nested()
        self.connection()  # the savepoint is set now, and not with SQLAlchemy's next statement
        return transaction

    def get_bind(self, *_: Any, **__: Any) -> Connection:
        """Of all tables."""
        return self._begun or self._begin()

    def _begin(self) -> Connection:
        connection = self._engine.connect()
        try:
            connection.info.update(self._told)
            connection.begin()
        except BaseException:
            connection.close()
            raise
        self._begun = connection
        return connection


def _row(names: list[str]) -> Any:
    """A class of rows; its fields are known at run time only."""
    return namedtuple("Row", names, rename=True)  # noqa: PYI024 - made at run time


def _expanded(compiled: SQLCompiler, values: Values) -> tuple[str, Sequence[str], dict[str, tuple[str, int]]]:
    """The statement for lists of these lengths, the names in it, and which of them stand for a place of which list."""
    if not compiled.post_compile_params:
        return str(compiled), compiled.positiontup if compiled.positiontup is not None else list(compiled.binds), {}
    state = compiled.construct_expanded_state(dict(values))
    places = {
        each: (name, place) for name, listed in state.parameter_expansion.items() for place, each in enumerate(listed)
    }
    return state.statement, state.positiontup if state.positiontup is not None else list(state.parameters), places
