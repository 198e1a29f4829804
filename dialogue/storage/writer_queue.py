"""SQLite takes one writer at a time; the writers of one process queue for it, the most urgent first.

SQLite itself lets waiting writers try again by chance. Those of other processes still do.
"""

import heapq
import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count

WRITE_PRIORITY: ContextVar[int] = ContextVar("write_priority", default=0)
"""Of the transactions of this thread: the highest goes first, then the one that came first."""


@dataclass(order=True, slots=True)
class _Waiter:
    negative_priority: int
    number: int
    thread_id: int = field(compare=False)
    admitted: threading.Event = field(compare=False, default_factory=threading.Event)
    has_given_up: bool = field(compare=False, default=False)


class WriterQueue:
    """A lock that a thread may take again while it holds it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: int | None = None
        self._depth = 0
        self._waiting: list[_Waiter] = []
        self._numbers = count()

    def acquire(self, timeout_seconds: float) -> bool:
        """False if it is still held by others after that time."""
        me = threading.get_ident()
        with self._lock:
            if self._holder is None or self._holder == me:
                self._holder = me
                self._depth += 1
                return True
            waiter = _Waiter(-WRITE_PRIORITY.get(), next(self._numbers), me)
            heapq.heappush(self._waiting, waiter)
        if waiter.admitted.wait(timeout_seconds):
            return True
        with self._lock:
            waiter.has_given_up = True
            return waiter.admitted.is_set()

    def release(self) -> None:
        """By the thread that holds it."""
        with self._lock:
            self._depth -= 1
            if self._depth:
                return
            self._holder = None
            while self._waiting and self._holder is None:
                waiter = heapq.heappop(self._waiting)
                if not waiter.has_given_up:
                    self._holder, self._depth = waiter.thread_id, 1
                    waiter.admitted.set()
