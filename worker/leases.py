"""Extends the leases of the turns that this worker is answering, and cancels those whose lease it lost.

One thread extends all leases at once. A lease is lost by a reset, or when it expired before it was extended.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import structlog

from dialogue.core import turns
from dialogue.errors import DialogueError
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_PERIOD_SECONDS = 1.0


class Leases:
    """The leases of one owner."""

    def __init__(
        self,
        *,
        database: Database,
        owner: UUID,
        lease_seconds: float,
        cancel: Callable[[str], None],
        clock: Clock = utc_now,
    ) -> None:
        self.owner = owner
        self.lease_seconds = lease_seconds
        self._database = database
        self._cancel = cancel
        self._clock = clock
        self._held: set[UUID] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the thread has ended; leases still held expire by themselves."""
        self._stopping.set()
        self._thread.join()

    @contextmanager
    def kept(self, turn_id: UUID) -> Iterator[None]:
        """While the block runs, the turn's lease is extended; if it is lost, its generation is cancelled."""
        with self._lock:
            self._held.add(turn_id)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(turn_id)

    def held(self) -> list[UUID]:
        """The turns that are being answered now."""
        with self._lock:
            return list(self._held)

    def extend(self) -> None:
        """Extend every lease, and cancel the turns whose lease was lost."""
        held = self.held()
        if not held:
            return
        until = self._clock() + timedelta(seconds=self.lease_seconds)
        with self._database.begin() as session:
            still_ours = turns.extend(session, held, owner=self.owner, until=until)
        for turn_id in set(held) - still_ours:
            self._cancel(str(turn_id))

    def _run(self) -> None:
        while not self._stopping.wait(min(_PERIOD_SECONDS, self.lease_seconds / 3)):
            try:
                self.extend()
            except DialogueError as error:
                log.warning("leases_not_extended", error=str(error))
            except Exception as error:  # noqa: BLE001 - a thread's outermost loop: if it ended, every lease would expire
                log.error("leases_not_extended", error=type(error).__name__)  # noqa: TRY400 - no traceback: it may hold texts
