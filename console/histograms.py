"""Histograms of durations: small enough to keep, exact enough for a median (50 ms up to 2 s, then coarser)."""

from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import ColumnElement, Integer, case, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

# (upper bound, step), in milliseconds
_STEPS = ((2_000, 50), (20_000, 500), (200_000, 5_000))


class _Milliseconds(FunctionElement[int]):
    """Milliseconds from the second time to the first; the two databases differ in syntax."""

    type = Integer()
    inherit_cache = True
    name = "milliseconds_between"


@compiles(_Milliseconds, "postgresql")
def _postgresql(element: _Milliseconds, compiler: SQLCompiler, **options: object) -> str:
    later, earlier = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM ({later} - {earlier})) * 1000 AS BIGINT)"


@compiles(_Milliseconds, "sqlite")
def _sqlite(element: _Milliseconds, compiler: SQLCompiler, **options: object) -> str:
    later, earlier = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST((julianday({later}) - julianday({earlier})) * 86400000 AS INTEGER)"


def bucket(later: ColumnElement[object], earlier: ColumnElement[object]) -> ColumnElement[int]:
    """SQL for the number of the bucket that the time between the two columns falls into; NULL where one is."""
    length: ColumnElement[int] = _Milliseconds(later, earlier)
    branches, first, start = [], 0, 0
    for end, step in _STEPS:
        branches.append((length < end, (length - start) // step + first))
        first, start = first + (end - start) // step, end
    return case((length.is_(None), None), *branches, else_=literal(first))


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The quantile in seconds; None for an empty histogram."""
    left = share * sum(counts.values())
    for number in sorted(counts):
        left -= counts[number]
        if left <= 0:
            return _middle(number)
    return None


def total(all_counts: Iterable[Mapping[int, int]]) -> Counter[int]:
    together: Counter[int] = Counter()
    for counts in all_counts:
        together.update(counts)
    return together


def _middle(number: int) -> float:
    first, start = 0, 0
    for end, step in _STEPS:
        count = (end - start) // step
        if number < first + count:
            return (start + (number - first + 0.5) * step) / 1000
        first, start = first + count, end
    return start / 1000
