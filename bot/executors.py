"""Threads for blocking calls: a pool for each kind of work, so that no kind waits behind another.

asyncio's shared default executor is used for none of them: it starts calls in order of arrival, whatever they are for.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TypeVar

from bot.admission import AdmissionQueue
from dialogue.storage.writer_queue import WRITE_PRIORITY

T = TypeVar("T")

THREADS_WITHOUT_EXECUTOR = 6
"""Of an adapter, with a database connection of their own: sweeper, housekeeper, watch, and room for what comes."""


class PriorityExecutor:
    """As many threads as its admission queue has places: a call that was admitted starts at once."""

    def __init__(self, name: str, *, threads: int, reserved: int = 0) -> None:
        self.thread_count = threads + reserved
        self._admission = AdmissionQueue(threads, reserved=reserved)
        self._pool = ThreadPoolExecutor(self.thread_count, thread_name_prefix=name)

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
            context = copy_context()
            context.run(WRITE_PRIORITY.set, priority)
            future = self._pool.submit(context.run, call)
        except RuntimeError:  # closed
            self._admission.leave()
            raise
        future.add_done_callback(lambda _: _tell(loop, self._admission.leave))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Returns when the calls that have begun have returned."""
        self._pool.shutdown(cancel_futures=True)


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended, and nobody waits for a place
        loop.call_soon_threadsafe(callback)


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
