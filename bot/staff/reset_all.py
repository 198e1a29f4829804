"""Ends all conversations on an admin's command: in the background, continuing after a restart."""

import time

from dialogue.admin import reset_all
from dialogue.admin.office import Office
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.telemetry.instruments import UNMEASURED, Instruments
from dialogue.telemetry.periodic import Periodic


class ResetAll:
    """Looks for orders in a thread of its own; each process may do a part of one."""

    def __init__(
        self,
        *,
        database: Database,
        office: Office,
        instruments: Instruments = UNMEASURED,
        period_seconds: float = 1.0,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._office = office
        self._clock = clock
        self._loop = Periodic("reset_all", self.carry_out, period_seconds=period_seconds, instruments=instruments)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Returns after the batch in progress; the rest of an order is left to the next process."""
        self._loop.stop()

    def carry_out(self) -> None:
        """Batch after batch until nothing is ordered; raises `DatabaseUnavailable`."""
        with self._database.read() as session:
            if not reset_all.is_ordered(session):
                return
        while not self._loop.is_stopping:
            began_at = time.monotonic()
            with self._database.begin() as session:
                if reset_all.advance(session, self._office, now=self._clock()) is None:
                    return
            self._loop.pause(reset_all.PAUSE_SHARE * (time.monotonic() - began_at))
