"""The engine that owns the model: one thread computes steps over all open conversations, many threads wait.

A conversation joins at the next step and leaves at the end of one. Whatever breaks, no waiter is left waiting: one
reply's failure ends that reply; a failure of a step empties the cache and tries its replies once more.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator

from worker.engine.active_request import ActiveRequest
from worker.engine.mailbox import Mailbox
from worker.engine.open_requests import OpenRequests
from worker.engine.port import EngineFailed, Load, Progress, Request
from worker.engine.schedule import TokenSequence
from worker.engine.step_loop import Machine, StepLoop

_STUCK_SECONDS = 300.0
"""Longer than any step takes, on the slowest machine that is of use."""


class Batched:
    """Generates for up to `capacity` conversations at once; the others wait in order."""

    def __init__(self, assemble: Callable[[], Machine], *, capacity: int) -> None:
        self.capacity = capacity
        self._assemble = assemble
        self._machine: Machine | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._is_stopping = False
        self._arrivals: deque[ActiveRequest] = deque()
        self._openings = OpenRequests()
        self._load = Load(running=0, waiting=0)
        self._trouble: str | None = None
        self._step_began_at: float | None = None

    @property
    def model_version(self) -> str:
        """Names the weights."""
        return self._started().model_version

    @property
    def prompt_version(self) -> str:
        """Names the prompt's form."""
        return self._started().prompter.version

    @property
    def load(self) -> Load:
        """As of the last step."""
        return self._load

    def trouble(self) -> str | None:
        """Why only a new process can help: see `StepLoop.trouble`; or the model's thread hangs, or has ended."""
        began_at, thread = self._step_began_at, self._thread
        if began_at is not None and time.monotonic() - began_at > _STUCK_SECONDS:
            return f"a step has not ended for {time.monotonic() - began_at:.0f} s"
        if thread is not None and not thread.is_alive() and not self._is_stopping:
            return "the model's thread has ended"
        return self._trouble

    def start(self) -> None:
        """Load the model and begin. Raises `ModelUnusable`."""
        self._machine = self._assemble()
        self._is_stopping = False
        self._openings.open()
        self._thread = threading.Thread(target=self._run, args=(self._machine,), name="engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Cancel what is open, end the thread, release the model."""
        self._openings.close()
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self._arrivals.clear()
        self._thread = self._machine = None

    def cancel(self, request_id: str) -> None:
        """End the open streams of this id at once; their places are free at the next step."""
        self._openings.cancel(request_id)

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        """Yield the growing reply; see the port."""
        return self._stream(request, Mailbox(time.monotonic() + request.deadline_seconds))

    def _stream(self, request: Request, mailbox: Mailbox) -> Generator[Progress, None, None]:
        machine = self._started()
        with self._openings.opened(request.id, mailbox):
            ids = machine.prompter.ids(request)
            flight = ActiveRequest(
                request_id=request.id,
                sequence=TokenSequence(
                    tokens=ids, max_length=min(len(ids) + max(request.max_tokens, 1), machine.prompter.context)
                ),
                prompt_tokens=len(ids),
                decoder=machine.prompter.tokenizer.decoder(),
                mailbox=mailbox,
            )
            with self._changed:
                self._arrivals.append(flight)
                self._changed.notify()
            yield from mailbox.read()

    def _started(self) -> Machine:
        if self._machine is None:
            raise EngineFailed("the engine is not running")
        return self._machine

    def _run(self, machine: Machine) -> None:
        crew = StepLoop(machine, capacity=self.capacity)
        while (arrivals := self._wait(crew)) is not None:
            crew.add(arrivals)
            self._step_began_at = time.monotonic()
            try:
                crew.step()
            except Exception as error:  # noqa: BLE001  # outermost loop: whatever broke, the waiters must hear of it
                crew.recover(error)
            self._step_began_at = None
            self._load = crew.load()
            self._trouble = crew.trouble()

    def _wait(self, crew: StepLoop) -> list[ActiveRequest] | None:
        """New arrivals, at once if there is work; None when it is time to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or self._arrivals or crew.is_busy)
            if self._is_stopping:
                return None
            arrivals = list(self._arrivals)
            self._arrivals.clear()
            return arrivals
