"""What can be measured: components declare their figures here, `dialogue.telemetry.prometheus` keeps them.

Labels are words from our own short lists (a channel, an outcome, a tier); no id and nothing of a person is ever one.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol


class Counter(Protocol):
    """Only grows."""

    def add(self, count: float = 1, **labels: str) -> None: ...


class Histogram(Protocol):
    """How long things took, in seconds, by size classes."""

    def observe(self, seconds: float, **labels: str) -> None: ...


class Reading(NamedTuple):
    """A figure of this moment; `labels` in the order in which the gauge named them."""

    value: float
    labels: tuple[str, ...] = ()


class Instruments(Protocol):
    """Where figures are declared; declaring one twice gives the same one. `what` is its line of explanation."""

    def counter(self, name: str, what: str, labels: Sequence[str] = ()) -> Counter: ...

    def histogram(self, name: str, what: str, labels: Sequence[str] = ()) -> Histogram: ...

    def gauge(self, name: str, what: str, read: Callable[[], Iterable[Reading]], labels: Sequence[str] = ()) -> None:
        """`read` is called by whoever looks: it must answer at once, from what is known."""


class _Nothing:
    def add(self, count: float = 1, **labels: str) -> None: ...

    def observe(self, seconds: float, **labels: str) -> None: ...


class Unmeasured:
    """Nobody looks: everything may be declared and counted, and nothing is kept."""

    def counter(self, name: str, what: str, labels: Sequence[str] = ()) -> Counter:  # noqa: ARG002 - the port's
        return _Nothing()

    def histogram(self, name: str, what: str, labels: Sequence[str] = ()) -> Histogram:  # noqa: ARG002 - the port's
        return _Nothing()

    def gauge(
        self, name: str, what: str, read: Callable[[], Iterable[Reading]], labels: Sequence[str] = ()
    ) -> None: ...


UNMEASURED: Final = Unmeasured()
