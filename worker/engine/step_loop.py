"""Flies the open flights: step by step, each failure kept to those it concerns. Lives in the model's thread alone."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from worker.engine.active_request import ActiveRequest
from worker.engine.blocks import BlockPool
from worker.engine.port import EngineError, EngineFailed, Finish, Load, Progress
from worker.engine.prompter import Prompter
from worker.engine.schedule import Scheduler, Slice, TokenSequence
from worker.engine.work import OutOfMemory, Work

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MAX_TRIES = 2
_LEAST_STEP_TOKENS = 32
_MAX_LOST = 3
"""So many different replies may break the model with no step between them that does not: one alone is its own fault."""


class Runner(Protocol):
    """Computes steps; worker/engine/runner.py is the real one."""

    def run(self, works: Sequence[Work]) -> list[int | None]:
        """The next token of each work that asks for one."""

    def reset(self) -> None:
        """Start over with an empty cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A loaded model and what must be known to run it. Counts of blocks and tokens."""

    runner: Runner
    prompter: Prompter
    stop_ids: frozenset[int]
    model_version: str
    block_count: int
    block_size: int
    step_tokens: int


class StepLoop:
    """The flights in the air and how they are flown; lives in the model's thread alone."""

    def __init__(self, machine: Machine, *, capacity: int) -> None:
        self._machine = machine
        self._capacity = capacity
        self._step_tokens = machine.step_tokens
        self._flights: dict[TokenSequence, ActiveRequest] = {}
        self._planned: list[Slice] = []
        self._must_reset = False
        self._lost: dict[str, str] = {}
        self._turn_seconds = 0.0
        self._scheduler = self._new_scheduler()

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to compute."""
        return bool(self._flights)

    def add(self, arrivals: Sequence[ActiveRequest]) -> None:
        """Take new flights in, in order."""
        for flight in arrivals:
            self._flights[flight.sequence] = flight
            self._scheduler.add(flight.sequence)

    def step(self) -> None:
        """Drop who is not waited for, compute one step, hand out its tokens."""
        if self._must_reset:
            self._machine.runner.reset()
            self._must_reset = False
        for flight in [flight for flight in self._flights.values() if flight.mailbox.is_closed]:
            self._end(flight)
        if not self._flights:
            return
        self._planned = self._scheduler.plan()
        tokens = iter(self._machine.runner.run([_work(planned) for planned in self._planned]))
        for planned in self._planned:
            is_last = planned.is_last
            self._scheduler.done(planned)
            if is_last:
                self._advance(self._flights[planned.sequence], next(tokens))
        self._planned = []
        self._lost.clear()

    def recover(self, error: Exception) -> None:
        """After a broken step: start over with an empty cache; what was in the step is tried once more, one by one."""
        log.error("engine_restarted", error=type(error).__name__, at=_place(error), open=len(self._flights))
        if isinstance(error, OutOfMemory):
            self._step_tokens = max(_LEAST_STEP_TOKENS, self._step_tokens // 2)
        self._must_reset = True
        hit = {planned.sequence for planned in self._planned} or set(self._flights)
        self._planned = []
        self._scheduler = self._new_scheduler()
        for sequence, flight in list(self._flights.items()):
            if sequence in hit:
                flight.failures += 1
                sequence.is_suspect = True
            sequence.reset()
            if flight.failures < _MAX_TRIES:
                self._scheduler.add(sequence)
            else:
                del self._flights[sequence]
                flight.mailbox.fail(EngineFailed(type(error).__name__))
                if not isinstance(error, OutOfMemory):  # whoever took it may give it back
                    self._lost[flight.request_id] = type(error).__name__

    def trouble(self) -> str | None:
        """Why the device cannot be trusted any more: several replies, one after the other, and no step between."""
        if len(self._lost) < _MAX_LOST:
            return None
        return f"{len(self._lost)} replies broke one after the other ({', '.join(sorted(set(self._lost.values())))})"

    def load(self) -> Load:
        """How busy it is now."""
        waiting = self._scheduler.waiting_count
        return Load(
            running=self._scheduler.running_count,
            waiting=waiting,
            wait_seconds=self._turn_seconds * (waiting + 1) / self._capacity if waiting else 0.0,
            held_blocks=self._scheduler.held_blocks,
        )

    def _advance(self, flight: ActiveRequest, token: int | None) -> None:
        flight.sequence.is_suspect, flight.failures = False, 0
        try:
            progress = self._progress(flight, token)
        except EngineError as error:
            flight.mailbox.fail(error)
        except Exception as error:  # noqa: BLE001  # one reply's failure must not be the others'
            log.error(  # noqa: TRY400  # a traceback may quote what people said
                "reply_failed", error=type(error).__name__, at=_place(error), request_id=flight.request_id
            )
            flight.mailbox.fail(EngineFailed(type(error).__name__))
        else:
            flight.mailbox.put(progress)
            if progress.finish is None:
                return
            self._turn_seconds = time.monotonic() - flight.arrived_at
        self._end(flight)

    def _progress(self, flight: ActiveRequest, token: int | None) -> Progress:
        if token is None:
            raise EngineFailed("the model gave no number")
        finish = None
        if token in self._machine.stop_ids:
            finish = Finish.STOP
        else:
            flight.say(token)
            if flight.text.is_stopped:
                finish = Finish.STOP
            elif len(flight.sequence.tokens) >= flight.sequence.max_length:
                finish = Finish.LENGTH
        return flight.progress(finish)

    def _end(self, flight: ActiveRequest) -> None:
        del self._flights[flight.sequence]
        self._scheduler.remove(flight.sequence)

    def _new_scheduler(self) -> Scheduler:
        pool = BlockPool(count=self._machine.block_count, size=self._machine.block_size)
        return Scheduler(pool, max_running=self._capacity, max_tokens=self._step_tokens)


def _work(planned: Slice) -> Work:
    sequence = planned.sequence
    return Work(
        tokens=sequence.tokens[planned.start : planned.stop],
        start=planned.start,
        blocks=sequence.blocks,
        is_drawn=planned.is_last,
    )


def _place(error: BaseException) -> str:
    """Where it was raised; never its message, which may quote what people said."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
