"""Traces by OpenTelemetry: printed, or sent by OTLP as the standard ``OTEL_`` variables say."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal
from uuid import UUID

from dialogue.errors import Misconfigured
from dialogue.process.version import product_version
from dialogue.telemetry.traces import ROOT, Figures, Traces

try:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON
except ModuleNotFoundError as error:
    raise Misconfigured(f"MINDGLM_TRACES needs {error.name}: pip install 'mindglm-bot[otel]'.") from error

_LAST_SECONDS: Final = 3.0
_SPAN_BITS: Final = (1 << 64) - 1


def open_traces(where: Literal["console", "otlp"], service: str) -> Traces:
    """Raises `Misconfigured`."""
    return OpenTelemetry(_exporter(where), service)


class OpenTelemetry:
    """The provider of one process; the library's global state is not touched."""

    def __init__(self, exporter: SpanExporter, service: str) -> None:
        self._ids = _Ids()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create({"service.name": service, "service.version": product_version()}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("mindglm", product_version())

    def add(self, name: str, turn_id: UUID, *, began_ns: int, ended_ns: int, **figures: Figures) -> None:
        attributes = {f"mindglm.{key}": value for key, value in figures.items()} | {"mindglm.turn_id": str(turn_id)}
        with self._ids.of_root(turn_id) if name == ROOT else _nothing():
            span = self._tracer.start_span(
                name,
                context=Context() if name == ROOT else _below_root(turn_id),
                start_time=began_ns,
                attributes=attributes,
            )
        span.end(ended_ns)

    def close(self) -> None:
        """Does not wait for a collector that is down."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_LAST_SECONDS)


class _Ids(RandomIdGenerator):
    """Random ids, except for the root of a turn's trace."""

    def __init__(self) -> None:
        self._turn_id: ContextVar[UUID | None] = ContextVar("turn_id", default=None)

    @contextmanager
    def of_root(self, turn_id: UUID) -> Iterator[None]:
        token = self._turn_id.set(turn_id)
        try:
            yield
        finally:
            self._turn_id.reset(token)

    def generate_trace_id(self) -> int:
        turn_id = self._turn_id.get()
        return super().generate_trace_id() if turn_id is None else turn_id.int

    def generate_span_id(self) -> int:
        turn_id = self._turn_id.get()
        return super().generate_span_id() if turn_id is None else _root_span(turn_id)


def _root_span(turn_id: UUID) -> int:
    return turn_id.int & _SPAN_BITS


def _below_root(turn_id: UUID) -> Context:
    root = trace.SpanContext(
        trace_id=turn_id.int,
        span_id=_root_span(turn_id),
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(root), Context())


def _exporter(where: Literal["console", "otlp"]) -> SpanExporter:
    if where == "console":
        return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: span.to_json(indent=None) + "\n")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


@contextmanager
def _nothing() -> Iterator[None]:
    yield
