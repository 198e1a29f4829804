"""Threads for blocking calls: a pool for each kind of work, so that no kind waits behind another.

asyncio's shared default executor is used for none of them: it starts calls in order of arrival, whatever they are for.
"""

import asyncio
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from queue import SimpleQueue
from typing import Any, TypeVar

from bot.admission import AdmissionQueue
from dialogue.storage.writer_queue import WRITE_PRIORITY

T = TypeVar("T")

THREADS_WITHOUT_EXECUTOR = 6
"""Of an adapter, with a database connection of their own: sweeper, housekeeper, watch, and room for what comes."""


class PriorityExecutor:
    """As many threads as its admission queue has places: a call that was admitted starts at once.

    The standard library's pools tell the event loop of a result by way of a future of their own, which wakes it twice;
    here it is woken once, and the next call goes to the thread that ran last, whose connection is still warm.
    """

    def __init__(self, name: str, *, threads: int, reserved: int = 0) -> None:
        self.thread_count = threads + reserved
        self._admission = AdmissionQueue(threads, reserved=reserved)
        self._name = name
        self._numbers = count()
        self._threads: list[_CallThread] = []
        self._idle: list[_CallThread] = []
        self._is_closed = False
        weakref.finalize(self, _end, self._threads)

    @property
    def is_full(self) -> bool:
        """Whether a call without priority would have to wait."""
        return self._admission.is_full

    async def run(self, call: Callable[[], T], *, priority: int = 0) -> T:
        """Call it in a thread; waiting calls start by priority, the highest first, then in order of arrival.

        A call whose caller is cancelled keeps its thread until it returns. From `bot.admission.URGENT` on, a call may
        use the reserved threads.
        """
        loop = asyncio.get_running_loop()
        await self._admission.enter(priority)
        try:
            thread = self._idle_thread()
        except RuntimeError:  # closed, or the system gives no more threads
            self._admission.leave()
            raise
        context = copy_context()
        context.run(WRITE_PRIORITY.set, priority)
        result: asyncio.Future[T] = loop.create_future()
        thread.calls.put(_Call(call, context, loop, result, self._admission.leave))
        return await result

    def close(self) -> None:
        """Returns when the calls that have begun have returned."""
        self._is_closed = True
        _end(self._threads)
        for thread in self._threads:
            thread.join()

    def _idle_thread(self) -> "_CallThread":
        """Admission is for as many calls as there may be threads. Raises `RuntimeError`."""
        if self._is_closed:
            raise RuntimeError("This executor is closed.")
        if self._idle:
            return self._idle.pop()
        thread = _CallThread(f"{self._name}_{next(self._numbers)}", self._idle)
        self._threads.append(thread)
        thread.start()
        return thread


@dataclass(frozen=True, slots=True)
class _Call:
    """What is called in a thread, and whom to tell."""

    call: Callable[[], Any]
    context: Context
    loop: asyncio.AbstractEventLoop
    result: asyncio.Future[Any]
    leave: Callable[[], None]

    def run(self) -> Callable[[], None]:
        """Returns what the event loop shall do."""
        try:
            value = self.context.run(self.call)
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            return partial(self._tell, self.result.set_exception, error)
        return partial(self._tell, self.result.set_result, value)

    def _tell(self, settle: Callable[[Any], None], what: Any) -> None:
        self.leave()
        if not self.result.done():  # else the caller was cancelled
            settle(what)


class _CallThread(threading.Thread):
    """Runs one call after the other, and is idle in between."""

    def __init__(self, name: str, idle: "list[_CallThread]") -> None:
        super().__init__(name=name, daemon=True)  # of an executor that nobody closed
        self.calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._idle = idle

    def run(self) -> None:
        while (call := self.calls.get()) is not None:
            told = call.run()
            self._idle.append(self)  # before the loop is told, which may have the next call
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                call.loop.call_soon_threadsafe(told)
            del call, told  # what they hold is not to last until the next call


def _end(threads: list[_CallThread]) -> None:
    for thread in threads:
        thread.calls.put(None)


def _intake() -> PriorityExecutor:
    return PriorityExecutor("intake", threads=12, reserved=4)


def _delivery() -> PriorityExecutor:
    return PriorityExecutor("delivery", threads=2, reserved=2)


def _display() -> PriorityExecutor:
    return PriorityExecutor("display", threads=4)


def _exports() -> PriorityExecutor:
    return PriorityExecutor("exports", threads=2)


def _media() -> PriorityExecutor:
    return PriorityExecutor("media", threads=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executors:
    """The pools of one process. Threads are started when they are first needed."""

    intake: PriorityExecutor = field(default_factory=_intake)
    """Messages that come in, by the danger in them."""
    delivery: PriorityExecutor = field(default_factory=_delivery)
    """The outbox: what is due is claimed, what was sent is marked."""
    display: PriorityExecutor = field(default_factory=_display)
    """What is only shown: drafts, placeholders, queue positions, the health file."""
    exports: PriorityExecutor = field(default_factory=_exports)
    """A person's data, which may take seconds to read and to write."""
    media: PriorityExecutor = field(default_factory=_media)
    """Pictures, voice and files that were fetched: they are sealed and stored."""

    @property
    def thread_count(self) -> int:
        """All of them together, each of which may hold a database connection."""
        return sum(pool.thread_count for pool in self._all)

    def close(self) -> None:
        for pool in self._all:
            pool.close()

    @property
    def _all(self) -> tuple[PriorityExecutor, ...]:
        return (self.intake, self.delivery, self.display, self.exports, self.media)
