"""Polls the database for turns whose task message was lost, so that a broker outage only delays replies."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import structlog

from dialogue.errors import DialogueError
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.telemetry.instruments import UNMEASURED, Instruments
from dialogue.telemetry.periodic import Periodic
from dialogue.upkeep.lost_rings import overlooked

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class FallbackPoller:
    """Polls at a fixed interval in a thread of its own, while the engine has free slots.

    A message may be lost, the broker down or the consumer stuck. Another worker may take the same turn; only one of
    them can claim it, so nothing is answered twice.
    """

    def __init__(
        self,
        *,
        database: Database,
        answer: Callable[[UUID], None],
        free_slots: Callable[[], int],
        max_threads: int,
        max_attempts: int,
        period_seconds: float = 1.0,
        instruments: Instruments = UNMEASURED,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._answer = answer
        self._free_slots = free_slots
        self._max_attempts = max_attempts
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_threads, thread_name_prefix="fallback-poll")
        self._loop = Periodic("fallback_poll", self.poll, period_seconds=period_seconds, instruments=instruments)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Take no more turns; those being answered continue."""
        self._loop.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def poll(self) -> int:
        """Poll once and take up to as many turns as there are free slots; returns how many."""
        free = self._free_slots()
        if free <= 0:
            return 0
        with self._database.read() as session:
            found = overlooked(session, limit=free, max_attempts=self._max_attempts, now=self._clock())
        for conversation_id in found:
            self._pool.submit(self._answer_one, conversation_id)
        return len(found)

    def _answer_one(self, conversation_id: UUID) -> None:
        try:
            self._answer(conversation_id)
        except DialogueError as error:
            log.warning("fallback_answer_failed", conversation_id=str(conversation_id), error=str(error))
        except Exception as error:  # noqa: BLE001 - a thread's outermost frame; its message may quote people
            log.error("fallback_answer_failed", conversation_id=str(conversation_id), error=type(error).__name__)  # noqa: TRY400 - as above
