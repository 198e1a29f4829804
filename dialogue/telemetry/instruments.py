"""Metric instruments: components declare them here, `dialogue.telemetry.prometheus` implements them.

Label values come from short fixed lists (a channel, an outcome, a tier); never an id or anything about a person.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from prometheus_client import Metric


class Counter(Protocol):
    """A counter; it only increases."""

    def add(self, count: float = 1, **labels: str) -> None: ...


class Histogram(Protocol):
    """A histogram of durations in seconds."""

    def observe(self, seconds: float, **labels: str) -> None: ...


class Reading(NamedTuple):
    """A current value; `labels` in the order in which the gauge was declared."""

    value: float
    labels: tuple[str, ...] = ()


class Instruments(Protocol):
    """Declares instruments; declaring one twice returns the same one. `what` is its help text."""

    def counter(self, name: str, what: str, labels: Sequence[str] = ()) -> Counter: ...

    def histogram(self, name: str, what: str, labels: Sequence[str] = ()) -> Histogram: ...

    def gauge(self, name: str, what: str, read: Callable[[], Iterable[Reading]], labels: Sequence[str] = ()) -> None:
        """`read` is called during a scrape: it must return cached values at once."""

    def families(self, read: "Callable[[], Iterable[Metric]]") -> None:
        """Show what another program measures, under its own names; `read` as for a gauge."""


class _Nothing:
    def add(self, count: float = 1, **labels: str) -> None: ...

    def observe(self, seconds: float, **labels: str) -> None: ...


class Unmeasured:
    """No metrics configured: everything may be declared and counted, nothing is stored."""

    def counter(self, name: str, what: str, labels: Sequence[str] = ()) -> Counter:  # noqa: ARG002 - the port's
        return _Nothing()

    def histogram(self, name: str, what: str, labels: Sequence[str] = ()) -> Histogram:  # noqa: ARG002 - the port's
        return _Nothing()

    def gauge(
        self, name: str, what: str, read: Callable[[], Iterable[Reading]], labels: Sequence[str] = ()
    ) -> None: ...

    def families(self, read: "Callable[[], Iterable[Metric]]") -> None: ...


UNMEASURED: Final = Unmeasured()
