"""Sweeps at a steady pace in a thread of its own; every process that can ring has one."""

import threading
import time

import structlog

from dialogue.errors import DialogueError
from dialogue.storage import timekeeper
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.storage.vault import MasterKeys
from dialogue.telemetry.instruments import UNMEASURED, Instruments
from dialogue.upkeep.lost_rings import Swept, sweep

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Sweeper:
    """Finds forgotten turns and texts, and rings for them."""

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
        self._period_seconds = period_seconds
        self._clock = clock
        self._rings = instruments.counter("mindglm_sweep_rings", "Turns nobody came for that the sweep rang for.")
        self._abandoned = instruments.counter(
            "mindglm_sweep_abandoned", "Texts that were being sent when their adapter died."
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the last sweep has ended."""
        self._stopping.set()
        self._thread.join()

    def sweep(self) -> Swept:
        """Look once and ring for what was found."""
        with self._database.begin() as session:
            swept = sweep(
                session, self._keys, apology=self._apology, max_attempts=self._max_attempts, now=self._clock()
            )
        if swept.conversation_ids or swept.abandoned_count:
            log.info("swept", rung_count=len(swept.conversation_ids), abandoned_count=swept.abandoned_count)
        self._rings.add(len(swept.conversation_ids))
        self._abandoned.add(swept.abandoned_count)
        return swept

    def _run(self) -> None:
        agreed_at = 0.0
        while not self._stopping.wait(self._period_seconds):
            try:
                if time.monotonic() - agreed_at > timekeeper.PERIOD_SECONDS:
                    timekeeper.agree(self._database)
                    agreed_at = time.monotonic()
                self.sweep()
            except DialogueError as error:
                log.warning("sweep_failed", error=str(error))
            except Exception as error:  # noqa: BLE001 - a thread's outermost loop: the next sweep may succeed
                log.error("sweep_broke", error=type(error).__name__)  # noqa: TRY400 - a traceback may hold texts
