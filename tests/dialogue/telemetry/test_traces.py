import subprocess
import sys
import threading
from uuid import UUID

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dialogue.process.settings import DialogueSettings
from dialogue.storage.ids import new_id
from dialogue.telemetry.opentelemetry import OpenTelemetry
from dialogue.telemetry.traces import ROOT, UNTRACED, traces_for
from tests.patience import wait_until

MS = 1_000_000


def test_what_two_processes_tell_of_a_turn_is_one_trace_whose_id_is_the_turns() -> None:
    turn_id = new_id()
    exporter = InMemorySpanExporter()
    worker, bot = OpenTelemetry(exporter, "worker"), OpenTelemetry(exporter, "bot")
    worker.add("generate", turn_id, began_ns=20 * MS, ended_ns=90 * MS, reply_tokens=7)
    bot.add(ROOT, turn_id, began_ns=10 * MS, ended_ns=12 * MS, channel="telegram")
    bot.add("deliver", turn_id, began_ns=91 * MS, ended_ns=95 * MS)
    for traces in (worker, bot):
        traces._provider.force_flush()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert {span.context.trace_id for span in spans.values() if span.context} == {turn_id.int}
    root = spans[ROOT]
    assert root.context is not None
    assert root.parent is None
    assert {spans[name].parent.span_id for name in ("generate", "deliver")} == {root.context.span_id}  # type: ignore[union-attr]  # there is one
    assert (root.start_time, root.end_time) == (10 * MS, 12 * MS)
    assert spans["generate"].attributes == {"mindglm.reply_tokens": 7, "mindglm.turn_id": str(turn_id)}
    for traces in (worker, bot):
        traces.close()


def test_two_turns_are_two_traces() -> None:
    exporter = InMemorySpanExporter()
    traces = OpenTelemetry(exporter, "bot")
    for turn_id in (new_id(), new_id()):
        traces.add(ROOT, turn_id, began_ns=1, ended_ns=2)
    traces.close()
    assert len({span.context.trace_id for span in exporter.get_finished_spans() if span.context}) == 2


def test_off_it_costs_nothing_and_loads_nothing() -> None:
    assert traces_for(DialogueSettings(), "bot") is UNTRACED
    UNTRACED.add(ROOT, UUID(int=1), began_ns=1, ended_ns=2)
    heavy = "{'dialogue.telemetry.opentelemetry', 'prometheus_client'}"
    look = f"import bot.services, sys; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_a_collector_that_is_away_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # else a thread tries again for seconds, in the next tests
    monkeypatch.setattr("dialogue.telemetry.opentelemetry._LAST_SECONDS", 0.2)
    before = set(threading.enumerate())
    traces = traces_for(DialogueSettings(traces="otlp"), "bot")
    traces.add(ROOT, new_id(), began_ns=1, ended_ns=2)
    traces.close()
    wait_until(lambda: before.issuperset(threading.enumerate()), 5)
