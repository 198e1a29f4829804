"""A worker with room answers what nobody came for, whatever became of the ring: a broker that is away only delays."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import structlog

from dialogue.errors import DialogueError
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.upkeep.lost_rings import overlooked

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class FallbackPoller:
    """Looks into the database at a steady pace, in a thread of its own, while there are free places.

    A ring may be lost, its broker away, or the consumer deaf; and the sweep that rings again may run in a process that
    has no other way to tell a worker. Whoever else comes for a turn meets the claim, so nothing is answered twice.
    """

    def __init__(
        self,
        *,
        database: Database,
        answer: Callable[[UUID], None],
        free_places: Callable[[], int],
        max_threads: int,
        max_attempts: int,
        period_seconds: float = 1.0,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._answer = answer
        self._free_places = free_places
        self._max_attempts = max_attempts
        self._period_seconds = period_seconds
        self._clock = clock
        self._hands = ThreadPoolExecutor(max_threads, thread_name_prefix="own-ears")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="own-ears", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more; what is being answered goes on."""
        self._stopping.set()
        self._thread.join()
        self._hands.shutdown(wait=False, cancel_futures=True)

    def look(self) -> int:
        """Look once, and take as many as there are free places; returns how many those are."""
        free = self._free_places()
        if free <= 0:
            return 0
        with self._database.read() as session:
            found = overlooked(session, limit=free, max_attempts=self._max_attempts, now=self._clock())
        for conversation_id in found:
            self._hands.submit(self._answer_one, conversation_id)
        return len(found)

    def _run(self) -> None:
        while not self._stopping.wait(self._period_seconds):
            try:
                self.look()
            except DialogueError as error:
                log.warning("look_failed", error=str(error))
            except Exception as error:  # noqa: BLE001 - a thread's outermost loop: the next look may succeed
                log.error("look_broke", error=type(error).__name__)  # noqa: TRY400 - a traceback may hold texts

    def _answer_one(self, conversation_id: UUID) -> None:
        try:
            self._answer(conversation_id)
        except DialogueError as error:
            log.warning("look_failed", conversation_id=str(conversation_id), error=str(error))
        except Exception as error:  # noqa: BLE001 - a thread's outermost place; what it says may hold words
            log.error("look_broke", conversation_id=str(conversation_id), error=type(error).__name__)  # noqa: TRY400 - as above
