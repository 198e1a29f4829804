"""The engine that owns the model: one thread runs steps over all open requests, the callers' threads wait for output.

Continuous batching: a request joins at the next step and leaves at the end of one. No failure leaves a caller
waiting: an error in one reply ends that reply; an error in a step empties the cache and retries the requests in it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator

from worker.engine.active_request import ActiveRequest
from worker.engine.open_requests import OpenRequests
from worker.engine.output_collector import OutputCollector
from worker.engine.port import EngineFailed, Finish, Load, Progress, Request
from worker.engine.schedule import TokenSequence
from worker.engine.step_loop import LoadedModel, StepLoop

_STUCK_SECONDS = 300.0
"""A step that takes longer hangs: the slowest useful machine needs less."""


class Batched:
    """Generates up to `capacity` replies at once; further requests queue in order of arrival."""

    def __init__(self, assemble: Callable[[], LoadedModel], *, capacity: int) -> None:
        self.capacity = capacity
        self._assemble = assemble
        self._model: LoadedModel | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._is_stopping = False
        self._arrivals: deque[ActiveRequest] = deque()
        self._open_requests = OpenRequests()
        self._load = Load(running=0, waiting=0)
        self._fatal_error: str | None = None
        self._step_began_at: float | None = None

    @property
    def model_version(self) -> str:
        """Names the weights."""
        return self._started().model_version

    @property
    def prompt_version(self) -> str:
        """Names the prompt format."""
        return self._started().prompter.version

    @property
    def load(self) -> Load:
        """As of the last step."""
        return self._load

    def fatal_error(self) -> str | None:
        """Why only a new process can help: see `StepLoop.fatal_error`; or the model's thread hangs or has ended."""
        began_at, thread = self._step_began_at, self._thread
        if began_at is not None and time.monotonic() - began_at > _STUCK_SECONDS:
            return f"a step has not ended for {time.monotonic() - began_at:.0f} s"
        if thread is not None and not thread.is_alive() and not self._is_stopping:
            return "the model's thread has ended"
        return self._fatal_error

    def is_ready(self) -> bool:
        """Always: it waits for nothing outside this process."""
        return True

    def start(self) -> None:
        """Load the model and begin. Raises `ModelUnusable`."""
        self._model = self._assemble()
        self._is_stopping = False
        self._open_requests.open()
        self._thread = threading.Thread(target=self._run, args=(self._model,), name="engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Cancel open requests, end the thread, release the model."""
        self._open_requests.close()
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self._arrivals.clear()
        self._thread = self._model = None

    def cancel(self, request_id: str) -> None:
        """End the open streams of this id at once; their slots are free at the next step."""
        self._open_requests.cancel(request_id)

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        """Yield the reply as it grows; see the port."""
        return self._stream(request, OutputCollector(time.monotonic() + request.deadline_seconds))

    def _stream(self, request: Request, collector: OutputCollector) -> Generator[Progress, None, None]:
        model = self._started()
        with self._open_requests.opened(request.id, collector):
            if (chosen := _chosen(model, request)) is not None:
                collector.put(chosen)
                yield from collector.read()
                return
            sequence = _sequence(model, request)
            active = ActiveRequest(
                request_id=request.id,
                sequence=sequence,
                prompt_tokens=len(sequence.tokens) - model.prefix_tokens,
                virtual_tokens=model.prefix_tokens,
                decoder=model.prompter.tokenizer.decoder(),
                collector=collector,
            )
            with self._changed:
                self._arrivals.append(active)
                self._changed.notify()
            yield from collector.read()

    def _started(self) -> LoadedModel:
        if self._model is None:
            raise EngineFailed("the engine is not running")
        return self._model

    def _run(self, model: LoadedModel) -> None:
        loop = StepLoop(model, capacity=self.capacity)
        while (arrivals := self._wait(loop)) is not None:
            loop.add(arrivals)
            self._step_began_at = time.monotonic()
            try:
                loop.step()
            except Exception as error:  # noqa: BLE001  # outermost loop: the waiting callers must be told of any failure
                loop.recover(error)
            self._step_began_at = None
            self._load = loop.load()
            self._fatal_error = loop.fatal_error()

    def _wait(self, loop: StepLoop) -> list[ActiveRequest] | None:
        """New requests, without waiting if others are running; None when the engine stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or self._arrivals or loop.is_busy)
            if self._is_stopping:
                return None
            arrivals = list(self._arrivals)
            self._arrivals.clear()
            return arrivals


def _chosen(model: LoadedModel, request: Request) -> Progress | None:
    """Where replies are chosen; the model has read and written nothing for it."""
    if model.chooser is None:
        return None
    reply = model.chooser.reply_to(request.history, request.text, avoided=request.avoided)
    return Progress(text=reply, prompt_tokens=0, reply_tokens=0, finish=Finish.STOP)


def _sequence(model: LoadedModel, request: Request) -> TokenSequence:
    prompter = model.prompter
    ids, blind = prompter.pair(request) if model.guidance.is_on else (prompter.ids(request), None)
    max_length = min(len(ids) + max(request.max_tokens, 1), prompter.context) + model.prefix_tokens
    if blind is None:
        return TokenSequence(tokens=model.prefix_ids + ids, max_length=max_length)
    unconditional = TokenSequence(tokens=model.prefix_ids + blind, max_length=max_length)  # the other one ends both
    return TokenSequence(tokens=model.prefix_ids + ids, max_length=max_length, unconditional=unconditional)
