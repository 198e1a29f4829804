"""The metrics of one process in Prometheus; imported only if metrics are configured."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from dialogue.telemetry import instruments
from dialogue.telemetry.instruments import Reading

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
"""Histogram buckets: from a turn's overhead without the model to longer than anybody waits."""


class Prometheus:
    """The registry of one process, created in its composition root."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._declared: dict[str, Any] = {}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def counter(self, name: str, what: str, labels: Sequence[str] = ()) -> instruments.Counter:
        declared: instruments.Counter = self._declare(
            name, lambda: _Counter(Counter(name, what, labels, registry=self.registry))
        )
        return declared

    def histogram(self, name: str, what: str, labels: Sequence[str] = ()) -> instruments.Histogram:
        declared: instruments.Histogram = self._declare(
            name, lambda: _Histogram(Histogram(name, what, labels, registry=self.registry, buckets=_SECONDS))
        )
        return declared

    def gauge(self, name: str, what: str, read: Callable[[], Iterable[Reading]], labels: Sequence[str] = ()) -> None:
        self._declare(name, lambda: self.registry.register(_Gauge(name, what, read, labels)))

    def families(self, read: Callable[[], Iterable[Metric]]) -> None:
        self.registry.register(_Foreign(read))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics and their content type, in a format that the client accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _declare(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._declared:
            self._declared[name] = make()
        return self._declared[name]


class _Counter:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def add(self, count: float = 1, **labels: str) -> None:
        (self._counter.labels(**labels) if labels else self._counter).inc(count)


class _Histogram:
    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    def observe(self, seconds: float, **labels: str) -> None:
        (self._histogram.labels(**labels) if labels else self._histogram).observe(max(seconds, 0.0))


class _Gauge(Collector):
    """Reads its values at scrape time."""

    def __init__(self, name: str, what: str, read: Callable[[], Iterable[Reading]], labels: Sequence[str]) -> None:
        self._name = name
        self._what = what
        self._read = read
        self._labels = labels

    def describe(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(self._name, self._what, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(self._name, self._what, labels=self._labels)
        for reading in self._read():
            family.add_metric(reading.labels, reading.value)
        yield family


class _Foreign(Collector):
    """Another program's metrics, which are known only once it runs."""

    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def describe(self) -> Iterator[Metric]:
        yield from ()

    def collect(self) -> Iterator[Metric]:
        yield from self._read()
