"""What the duty desks of this process show: the open cases, read a few times a second while a desk is open.

One reader serves all desks, so that twenty of them cost no more than one.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import structlog
from starlette.concurrency import run_in_threadpool

from dialogue.admin.cases import open_cases
from dialogue.admin.cases.open_cases import DutyCase, Unattended
from dialogue.errors import DatabaseUnavailable
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger()

PERIOD_SECONDS = 0.3
ALIVE_SECONDS = 5.0
"""A desk is told at least so often that all is as it was."""


_NOBODY = Unattended(count=0, overdue_count=0, oldest_at=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The open cases at one moment; `is_blind`: the database cannot be read, they are from before."""

    at: datetime
    cases: tuple[DutyCase, ...] = ()
    unattended: Unattended = _NOBODY
    is_blind: bool = False

    @property
    def mark(self) -> str:
        """Changes when there is something else to see."""
        return sha256(repr((self.cases, self.unattended, self.is_blind)).encode()).hexdigest()[:16]


class Board:
    """Belongs to one event loop; reads only while somebody follows."""

    def __init__(self, database: Database, *, minutes: int, clock: Clock = utc_now) -> None:
        self._database = database
        self._minutes = minutes
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._changed = asyncio.Event()
        self._follower_count = 0
        self._reading: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_ending = False

    async def follow(self) -> AsyncGenerator[Snapshot]:
        """The snapshot now, at each change, and every `ALIVE_SECONDS`."""
        self._follower_count += 1
        self._loop = asyncio.get_running_loop()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_on())
        try:
            async with aclosing(self._snapshots()) as snapshots:
                async for snapshot in snapshots:
                    yield snapshot
        finally:
            self._follower_count -= 1
            if not self._follower_count and self._reading is not None:
                self._reading.cancel()  # nobody waits for its end: it asks itself whether it is still wanted
                self._reading = self._snapshot = None
                self._changed = asyncio.Event()  # whoever follows next may have another loop

    def end(self) -> None:
        """Every desk is let go, so that the process can end; from any thread, or a signal's handler."""
        self._is_ending = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _snapshots(self) -> AsyncGenerator[Snapshot]:
        while not self._is_ending:
            changed = self._changed
            if self._snapshot is not None:
                yield self._snapshot
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), ALIVE_SECONDS)

    async def _read_on(self) -> None:
        while self._reading is asyncio.current_task():  # its one cancellation may be swallowed by what it calls
            before = self._snapshot
            after = await run_in_threadpool(self._read)
            if self._reading is not asyncio.current_task():
                return
            self._snapshot = after
            if before is None or before.mark != after.mark:
                self._tell()
            await asyncio.sleep(PERIOD_SECONDS)

    def _read(self) -> Snapshot:
        now = self._clock()
        try:
            with self._database.read() as session:
                cases = tuple(open_cases.open_cases(session))
                unattended = open_cases.unattended(session, minutes=self._minutes, now=now)
        except DatabaseUnavailable as error:
            log.warning("database_unavailable", error=type(error.__cause__).__name__)
            before = self._snapshot or Snapshot(at=now)
            return Snapshot(at=now, cases=before.cases, unattended=before.unattended, is_blind=True)
        return Snapshot(at=now, cases=cases, unattended=unattended)
