"""Sweeps once a second in a background thread; every process that can send task messages has one."""

import time

import structlog

from dialogue.storage import timekeeper
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.storage.vault import MasterKeys
from dialogue.telemetry.instruments import UNMEASURED, Instruments
from dialogue.telemetry.periodic import Periodic
from dialogue.upkeep.lost_rings import Swept, sweep

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Sweeper:
    """Finds lost turns and texts and announces them again."""

    def __init__(
        self,
        *,
        database: Database,
        keys: MasterKeys,
        apology: str,
        max_attempts: int,
        instruments: Instruments = UNMEASURED,
        period_seconds: float = 1.0,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._keys = keys
        self._apology = apology
        self._max_attempts = max_attempts
        self._clock = clock
        self._rings = instruments.counter("mindglm_sweep_rings", "Unclaimed turns that the sweep announced again.")
        self._abandoned = instruments.counter("mindglm_sweep_abandoned", "Texts in flight when their adapter died.")
        self._agreed_at = 0.0
        self._loop = Periodic(
            "sweep", self._agree_on_time, self.sweep, period_seconds=period_seconds, instruments=instruments
        )

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def sweep(self) -> Swept:
        """Sweep once and announce what was found."""
        with self._database.begin() as session:
            swept = sweep(
                session, self._keys, apology=self._apology, max_attempts=self._max_attempts, now=self._clock()
            )
        if swept.conversation_ids or swept.abandoned_count:
            log.info("swept", rung_count=len(swept.conversation_ids), abandoned_count=swept.abandoned_count)
        self._rings.add(len(swept.conversation_ids))
        self._abandoned.add(swept.abandoned_count)
        return swept

    def _agree_on_time(self) -> None:
        if time.monotonic() - self._agreed_at > timekeeper.PERIOD_SECONDS:
            timekeeper.agree(self._database)
            self._agreed_at = time.monotonic()
