"""How many messages are taken in at the same time, and who goes first when all places are taken."""

import asyncio
import heapq
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

_THREADS_FOR_OTHERS = 2
"""Of asyncio's: the courier must not queue behind a hundred messages that are taken in."""


class AdmissionQueue:
    """So many at a time; whoever waits goes on by urgency, then in the order of coming."""

    def __init__(self, number: int | None = None) -> None:
        threads = min(32, (os.cpu_count() or 1) + 4)  # what asyncio.to_thread has
        self._free = number or threads - _THREADS_FOR_OTHERS
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()

    @property
    def are_taken(self) -> bool:
        """Whether the next to come has to wait."""
        return self._free == 0

    @asynccontextmanager
    async def one(self, urgency: int = 0) -> AsyncIterator[None]:
        """For as long as the block lasts."""
        await self._take(urgency)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, urgency: int) -> None:
        if self._free:
            self._free -= 1
            return
        called = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-urgency, next(self._numbers), called))
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            *_, called = heapq.heappop(self._waiting)
            if not called.done():
                called.set_result(None)
                return
        self._free += 1
