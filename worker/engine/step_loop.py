"""Runs the open requests step by step and confines each failure to the requests it concerns.

Lives in the model's thread alone.
"""

import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from worker.engine.active_request import ActiveRequest
from worker.engine.blocks import BlockPool
from worker.engine.guidance import Guidance
from worker.engine.port import EngineError, EngineFailed, Exchange, Finish, Load, Progress
from worker.engine.prompter import Prompter
from worker.engine.runner_input import OutOfMemory, RunnerInput
from worker.engine.schedule import Chunk, Scheduler, TokenSequence

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MAX_ATTEMPTS = 2
_MIN_STEP_TOKENS = 32
_MAX_FAILED_REQUESTS = 3
"""Different requests that fail with no successful step between them; a single one is its own fault."""


class Runner(Protocol):
    """Runs steps; worker/engine/runner.py is the real one."""

    def run(self, inputs: Sequence[RunnerInput]) -> list[int | None]:
        """The next token of each input that needs one."""

    def reset(self) -> None:
        """Start over with an empty cache."""


class ReplyChooser(Protocol):
    """Has replies to choose from; worker/prewritten/replies.py is the real one. Called from many threads."""

    def reply_to(self, history: Sequence[Exchange], text: str, *, avoided: Container[str]) -> str:
        """One that fits; none of `avoided`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model ready to run, and what must be known to run it. Counts of blocks and tokens.

    `chooser` has replies that are given instead of the model's own.
    """

    runner: Runner
    prompter: Prompter
    stop_ids: frozenset[int]
    model_version: str
    block_count: int
    block_size: int
    step_tokens: int
    guidance: Guidance = field(default_factory=Guidance)
    prefix_tokens: int = 0
    chooser: ReplyChooser | None = None

    @property
    def prefix_ids(self) -> list[int]:
        """Stand for the virtual tokens in front of every sequence; no real token has such an id."""
        return list(range(-self.prefix_tokens, 0))


class StepLoop:
    """The requests that are open, waiting or running."""

    def __init__(self, model: LoadedModel, *, capacity: int) -> None:
        self._model = model
        self._capacity = capacity
        self._step_tokens = model.step_tokens
        self._requests: dict[TokenSequence, ActiveRequest] = {}
        self._scheduled: list[Chunk] = []
        self._must_reset = False
        self._failed: dict[str, str] = {}
        self._last_request_seconds = 0.0
        self._scheduler = self._new_scheduler()

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to compute."""
        return bool(self._requests)

    def add(self, arrivals: Sequence[ActiveRequest]) -> None:
        """Queue new requests, in order."""
        for request in arrivals:
            self._requests[request.sequence] = request
            self._scheduler.add(request.sequence)

    def step(self) -> None:
        """Drop closed requests, run one step, publish its tokens."""
        if self._must_reset:
            self._model.runner.reset()
            self._must_reset = False
        for request in [request for request in self._requests.values() if request.collector.is_closed]:
            self._remove(request)
        if not self._requests:
            return
        self._scheduled = self._scheduler.schedule()
        tokens = iter(self._model.runner.run([self._runner_input(chunk) for chunk in self._scheduled]))
        ready = []
        for chunk in self._scheduled:
            if chunk.needs_token and chunk.sequence in self._requests:
                ready.append((self._requests[chunk.sequence], next(tokens)))
            self._scheduler.mark_computed(chunk)
        for request, token in ready:
            self._advance(request, token)
        self._scheduled = []
        self._failed.clear()

    def recover(self, error: Exception) -> None:
        """After a failed step: empty the cache and retry the requests that were in the step, one at a time."""
        log.error("step_failed", error=type(error).__name__, at=_raised_at(error), open=len(self._requests))
        if isinstance(error, OutOfMemory):
            self._step_tokens = max(_MIN_STEP_TOKENS, self._step_tokens // 2)
        self._must_reset = True
        affected = {chunk.sequence for chunk in self._scheduled} or set(self._requests)
        self._scheduled = []
        self._scheduler = self._new_scheduler()
        for sequence, request in list(self._requests.items()):
            if affected.intersection(sequence.members):
                request.failures += 1
                sequence.retry_alone = True
            sequence.reset()
            if request.failures < _MAX_ATTEMPTS:
                self._scheduler.add(sequence)
            else:
                del self._requests[sequence]
                request.collector.fail(EngineFailed(type(error).__name__))
                if not isinstance(error, OutOfMemory):  # another process may release the memory again
                    self._failed[request.request_id] = type(error).__name__

    def fatal_error(self) -> str | None:
        """Why the device cannot be trusted any more: several requests failed, with no successful step between."""
        if len(self._failed) < _MAX_FAILED_REQUESTS:
            return None
        return f"{len(self._failed)} requests failed in a row ({', '.join(sorted(set(self._failed.values())))})"

    def load(self) -> Load:
        """How busy it is now."""
        waiting = self._scheduler.waiting_count
        return Load(
            running=self._scheduler.running_count,
            waiting=waiting,
            wait_seconds=self._last_request_seconds * (waiting + 1) / self._capacity if waiting else 0.0,
            held_blocks=self._scheduler.held_blocks,
        )

    def _advance(self, request: ActiveRequest, token: int | None) -> None:
        request.sequence.retry_alone, request.failures = False, 0
        try:
            progress = self._progress(request, token)
        except EngineError as error:
            request.collector.fail(error)
        except Exception as error:  # noqa: BLE001  # an error in one reply must not end the others
            log.error(  # noqa: TRY400  # a traceback may quote what people said
                "reply_failed", error=type(error).__name__, at=_raised_at(error), request_id=request.request_id
            )
            request.collector.fail(EngineFailed(type(error).__name__))
        else:
            request.collector.put(progress)
            if progress.finish is None:
                return
            self._last_request_seconds = time.monotonic() - request.arrived_at
        self._remove(request)

    def _progress(self, request: ActiveRequest, token: int | None) -> Progress:
        if token is None:
            raise EngineFailed("the logits were unusable")
        finish = None
        if token in self._model.stop_ids:
            finish = Finish.STOP
        else:
            request.append(token)
            if request.text.is_stopped:
                finish = Finish.STOP
            elif len(request.sequence.tokens) >= request.sequence.max_length:
                finish = Finish.LENGTH
        return request.progress(finish)

    def _runner_input(self, chunk: Chunk) -> RunnerInput:
        sequence = chunk.sequence
        request = self._requests.get(sequence)  # None: it is the unconditional one of a guided request
        is_guided = request is not None and sequence.unconditional is not None and chunk.needs_token
        return RunnerInput(
            tokens=sequence.tokens[chunk.start : chunk.stop],
            start=chunk.start,
            blocks=sequence.blocks,
            needs_token=chunk.needs_token,
            guidance=self._model.guidance.at(request.reply_tokens) if request and is_guided else None,
        )

    def _remove(self, request: ActiveRequest) -> None:
        del self._requests[request.sequence]
        self._scheduler.remove(request.sequence)

    def _new_scheduler(self) -> Scheduler:
        pool = BlockPool(count=self._model.block_count, size=self._model.block_size)
        pool.pin(self._model.prefix_ids)
        return Scheduler(pool, max_running=self._capacity, max_tokens=self._step_tokens)


def _raised_at(error: BaseException) -> str:
    """File and line; never the message, which may quote what people said."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
