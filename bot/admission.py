"""Limits concurrency, with a priority queue for entrants that must wait."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from care.screening import Tier

URGENT = int(Tier.ACTIVE)
"""From this priority on, places that are reserved may be used. The priority of a message is the tier of its danger."""


class AdmissionQueue:
    """`places` for everybody, and `reserved` ones that only urgent entrants may take.

    Waiting entrants are admitted by priority, the highest first, then in order of arrival. For one event loop.
    """

    def __init__(self, places: int, *, reserved: int = 0) -> None:
        self._free = places + reserved
        self._reserved = reserved
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()

    @property
    def is_full(self) -> bool:
        """Whether an entrant that is not urgent has to wait: only then does its priority matter."""
        return not self._has_place_for(0)

    @asynccontextmanager
    async def admitted(self, priority: int = 0) -> AsyncIterator[None]:
        """Holds a place for as long as the block lasts."""
        await self.enter(priority)
        try:
            yield
        finally:
            self.leave()

    async def enter(self, priority: int = 0) -> None:
        """Take a place, as soon as there is one; it must be given back by `leave`."""
        if self._has_place_for(priority):
            self._free -= 1
            return
        admitted = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-priority, next(self._numbers), admitted))
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Give a place back, which may admit the next."""
        self._free += 1
        while self._waiting:
            negative_priority, _, admitted = self._waiting[0]
            if not admitted.done():
                if not self._has_place_for(-negative_priority):
                    return
                self._free -= 1
                admitted.set_result(None)
            heapq.heappop(self._waiting)

    def _has_place_for(self, priority: int) -> bool:
        return self._free > (0 if priority >= URGENT else self._reserved)
