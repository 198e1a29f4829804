"""Extends the leases of the turns that this worker is answering, and cancels those whose lease it lost.

One thread extends all leases at once. A lease is lost by a reset, or when it expired before it was extended.
"""

import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from uuid import UUID

from dialogue.core import turns
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.telemetry.instruments import UNMEASURED, Instruments
from dialogue.telemetry.periodic import Periodic

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
        instruments: Instruments = UNMEASURED,
        clock: Clock = utc_now,
    ) -> None:
        self.owner = owner
        self.lease_seconds = lease_seconds
        self._database = database
        self._cancel = cancel
        self._clock = clock
        self._held: set[UUID] = set()
        self._lock = threading.Lock()
        self._loop = Periodic(
            "lease_extension",
            self.extend,
            period_seconds=min(_PERIOD_SECONDS, lease_seconds / 3),
            instruments=instruments,
        )

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Leases still held expire by themselves."""
        self._loop.stop()

    def hold(self, turn_ids: Iterable[UUID]) -> None:
        """From now on their leases are extended; the generation of one whose lease is lost is cancelled."""
        with self._lock:
            self._held.update(turn_ids)

    def release(self, turn_id: UUID) -> None:
        """It is answered, or no longer ours to answer."""
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
        with self._database.begin(is_hasty=True) as session:
            still_ours = turns.extend(session, held, owner=self.owner, until=until)
        for turn_id in set(held) - still_ours:
            self._cancel(str(turn_id))
