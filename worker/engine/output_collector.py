"""Hands a reply's progress from the engine's thread to the caller's."""

import math
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field

from worker.engine.port import DeadlineExceeded, EngineError, Progress


@dataclass(slots=True, eq=False)
class OutputCollector:
    """Keeps only the newest progress, so a slow reader delays nobody; the first ending is final."""

    deadline: float = math.inf
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _newest: Progress | None = None
    _error: EngineError | None = None
    _is_closed: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether the request needs no more tokens: it finished, failed, was cancelled or passed its deadline."""
        return self._is_closed or time.monotonic() >= self.deadline

    def put(self, progress: Progress) -> None:
        """Publish progress; a finished one closes the collector."""
        with self._changed:
            if not self._is_closed:
                self._newest = progress
                self._is_closed = progress.finish is not None
                self._changed.notify()

    def fail(self, error: EngineError) -> None:
        """Close with an error, which the reader raises at once."""
        with self._changed:
            if not self._is_closed:
                self._newest = None
                self._error = error
                self._is_closed = True
                self._changed.notify()

    def read(self) -> Generator[Progress, None, None]:
        """Yield progress as it comes, the finished one last. Raises `EngineError`; closing it closes the collector."""
        try:
            while True:
                progress = self._next()
                yield progress
                if progress.finish is not None:
                    return
        finally:
            self._is_closed = True

    def _next(self) -> Progress:
        with self._changed:
            while self._newest is None and self._error is None:
                seconds = self.deadline - time.monotonic()
                if seconds <= 0:
                    raise DeadlineExceeded
                self._changed.wait(min(seconds, threading.TIMEOUT_MAX))
            progress, self._newest = self._newest, None
        if progress is None:
            raise self._error or EngineError
        return progress
