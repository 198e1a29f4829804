"""An engine without a model: deterministic replies for tests, demonstrations and benches.

It keeps the port's promises (capacity, streaming, cancellation, deadlines, failures), one token per character.
"""

import math
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from worker.engine.port import Cancelled, DeadlineExceeded, EngineFailed, Finish, Load, Progress, Request

_MAX_PIECES = 8


class Scripted:
    """Replies with a template after a fixed time, streamed in up to eight pieces.

    `reply` may hold ``{text}`` and ``{turns}``. `delay_seconds` is the time to the whole reply, to which
    `tokens_per_second` adds one token per character. With `fail_every` N, each Nth reply fails half-way; after
    `break_after` replies every one fails, and the engine reports itself unrecoverable.
    """

    model_version = "scripted"
    prompt_version = "scripted"

    def __init__(
        self,
        *,
        reply: str = "收到：{text}",
        delay_seconds: float = 0,
        tokens_per_second: float | None = None,
        fail_every: int | None = None,
        break_after: int | None = None,
        capacity: int = 32,
    ) -> None:
        self.capacity = capacity
        self._reply = reply
        self._delay_seconds = delay_seconds
        self._tokens_per_second = tokens_per_second
        self._fail_every = fail_every
        self._break_after = break_after
        self._changed = threading.Condition()
        self._open: Counter[str] = Counter()
        self._cancelled: set[str] = set()
        self._running = 0
        self._begun = 0
        self._stopped = False

    @property
    def load(self) -> Load:
        """Requests that hold a slot and requests that wait for one."""
        with self._changed:
            return Load(running=self._running, waiting=max(0, self._open.total() - self._running))

    def fatal_error(self) -> str | None:
        """Set after `break_after` replies: a rehearsal of a broken device."""
        return "a scripted end" if self._is_broken(self._begun) else None

    def is_ready(self) -> bool:
        """Always."""
        return True

    def start(self) -> None:
        """Take requests (again)."""
        self._stopped = False

    def stop(self) -> None:
        """Cancel every open request."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def cancel(self, request_id: str) -> None:
        """Make the open requests of this id raise `Cancelled` at once."""
        with self._changed:
            if request_id in self._open:
                self._cancelled.add(request_id)
                self._changed.notify_all()

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        """Yield the reply as it grows; see the port."""
        return self._pieces(request, time.monotonic() + request.deadline_seconds)

    def _pieces(self, request: Request, deadline: float) -> Generator[Progress, None, None]:
        reply = self._reply.replace("{turns}", str(len(request.history))).replace("{text}", request.text)
        finish = Finish.STOP if len(reply) <= request.max_tokens else Finish.LENGTH
        reply = reply[: request.max_tokens]
        with self._slot(request.id, deadline) as number:
            fails = self._is_broken(number) or (self._fail_every is not None and number % self._fail_every == 0)
            pieces = min(_MAX_PIECES, len(reply)) or 1
            seconds = self._delay_seconds + (len(reply) / self._tokens_per_second if self._tokens_per_second else 0)
            begun_at = time.monotonic()
            for piece in range(1, pieces + 1):
                self._sleep_until(begun_at + seconds * piece / pieces, request.id, deadline)
                if fails and piece * 2 >= pieces:
                    raise EngineFailed("a scripted failure")
                shown = reply[: len(reply) * piece // pieces]
                yield Progress(
                    text=shown,
                    prompt_tokens=len(request.text),
                    reply_tokens=len(shown),
                    finish=finish if piece == pieces else None,
                )

    def _is_broken(self, number: int) -> bool:
        return self._break_after is not None and number > self._break_after

    @contextmanager
    def _slot(self, request_id: str, deadline: float) -> Iterator[int]:
        """Wait for one of the `capacity` slots and hold it; gives the number of this reply, from 1."""
        with self._changed:
            self._open[request_id] += 1
        has_slot = False
        try:
            with self._changed:
                while self._running >= self.capacity:
                    self._wait(request_id, deadline)
                self._check(request_id, deadline)
                self._running += 1
                self._begun += 1
                has_slot, number = True, self._begun
            yield number
        finally:
            with self._changed:
                self._running -= has_slot
                self._open[request_id] -= 1
                if not self._open[request_id]:
                    del self._open[request_id]
                    self._cancelled.discard(request_id)
                self._changed.notify_all()

    def _sleep_until(self, moment: float, request_id: str, deadline: float) -> None:
        with self._changed:
            self._check(request_id, deadline)
            while time.monotonic() < moment:
                self._wait(request_id, deadline, until=moment)

    def _wait(self, request_id: str, deadline: float, *, until: float = math.inf) -> None:
        self._changed.wait(max(0.0, min(until, deadline) - time.monotonic()))
        self._check(request_id, deadline)

    def _check(self, request_id: str, deadline: float) -> None:
        if self._stopped or request_id in self._cancelled:
            raise Cancelled
        if time.monotonic() >= deadline:
            raise DeadlineExceeded
