"""A worker's metrics: waiting and generation times, outcomes, and how full the batch is."""

import threading
import time
from collections.abc import Iterator
from typing import Final

from dialogue.telemetry.instruments import UNMEASURED, Instruments, Reading
from dialogue.telemetry.traces import UNTRACED, Traces
from worker.engine.port import Engine, ServesElsewhere


class WorkerMeters:
    """The metrics of one worker process; labels are outcomes and the guard's reasons."""

    def __init__(self, instruments: Instruments, traces: Traces = UNTRACED) -> None:
        self.traces = traces
        self._instruments = instruments
        self.wait = instruments.histogram("mindglm_turn_wait_seconds", "From the person's words to a worker's claim.")
        self.first_token = instruments.histogram(
            "mindglm_first_token_seconds", "From the claim to the first token of the reply."
        )
        self.generation = instruments.histogram("mindglm_generation_seconds", "From the claim to the finished reply.")
        self.total = instruments.histogram("mindglm_turn_seconds", "From the person's words to the finished reply.")
        self.ended = instruments.counter("mindglm_turns", "Tries to answer a turn, by how they ended.", ["outcome"])
        self.cancelled = instruments.counter("mindglm_cancellations", "Generations that were cancelled.")
        self.prompt_tokens = instruments.counter("mindglm_prompt_tokens", "Tokens read.")
        self.reply_tokens = instruments.counter("mindglm_reply_tokens", "Tokens written.")
        self.blocked = instruments.counter("mindglm_guard_blocks", "Replies the guard did not let pass.", ["reason"])

    def watch(self, engine: Engine) -> None:
        """Show how busy the engine is."""
        gauge = self._instruments.gauge
        gauge("mindglm_engine_capacity", "Conversations that are generated at once.", lambda: _one(engine.capacity))
        gauge("mindglm_engine_batch", "Conversations that are being generated.", lambda: _one(engine.load.running))
        gauge("mindglm_engine_waiting", "Conversations that wait for a place.", lambda: _one(engine.load.waiting))
        gauge("mindglm_engine_wait_seconds", "How long the next one waits.", lambda: _one(engine.load.wait_seconds))
        gauge(
            "mindglm_engine_info",
            "The model and the form of its prompt.",
            lambda: [Reading(1, (engine.model_version, engine.prompt_version))],
            ["model", "prompt"],
        )
        if isinstance(engine, ServesElsewhere):
            self._instruments.families(engine.metric_families)


class TokenPace:
    """Tokens per second between two readings; counted by many threads, read by one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._since = time.monotonic()

    def add(self, count: int) -> None:
        with self._lock:
            self._count += count

    def tokens_per_second(self) -> float:
        """Since the last reading."""
        now = time.monotonic()
        with self._lock:
            count, self._count = self._count, 0
        seconds, self._since = now - self._since, now
        return round(count / seconds, 1) if seconds > 0 else 0.0


def _one(value: float) -> Iterator[Reading]:
    yield Reading(value)


UNMETERED: Final = WorkerMeters(UNMEASURED)
