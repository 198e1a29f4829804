"""What vLLM measures, under its own names, beside our own metrics: dashboards made for vLLM go on working.

Read when a server's health is looked at, so that a scrape of ours never waits for it.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families as parse

_LABEL: Final = "server"
_PREFIX: Final = "vllm:"
_WAITING: Final = "vllm:num_requests_waiting"


class Measured(Protocol):
    """A server; `metrics` is what it exposes, empty while it does not answer, `starts` how often it was started."""

    name: str
    port: int | None
    metrics: str
    starts: int


def families(servers: Sequence[Measured]) -> Iterable[Metric]:
    """Whether each server answers, how often it was started, and all that begins with ``vllm:``."""
    up = GaugeMetricFamily("mindglm_vllm_up", "Whether this vLLM server answers.", labels=[_LABEL])
    starts = CounterMetricFamily("mindglm_vllm_starts", "How often this vLLM server was started.", labels=[_LABEL])
    merged: dict[str, Metric] = {}
    for server in servers:
        up.add_metric([server.name], server.port is not None)
        starts.add_metric([server.name], server.starts)
        for family in _parsed(server.metrics):
            whole = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            whole.samples += [
                sample._replace(labels={**sample.labels, _LABEL: server.name}) for sample in family.samples
            ]
    return [up, starts, *merged.values()]


def waiting(servers: Sequence[Measured]) -> float:
    """Requests in the servers' own queues."""
    return sum(
        sample.value
        for server in servers
        for family in _parsed(server.metrics)
        for sample in family.samples
        if sample.name == _WAITING
    )


def _parsed(text: str) -> list[Metric]:
    try:
        return [family for family in parse(text) if family.name.startswith(_PREFIX)]
    except ValueError:  # cut short, or of a server that does not speak Prometheus
        return []
