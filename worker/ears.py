"""What the sweep finds is answered here, where this worker has room: a broker that is away only delays."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import structlog

from dialogue.doorbell import Bell
from dialogue.errors import DialogueError

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class OwnEars:
    """A bell for the worker's own sweep.

    Nobody came for what the sweep finds: the ring was lost, the broker is away, or a consumer no longer hears it.
    Whoever else comes for it meets the claim, so nothing is answered twice.
    """

    def __init__(
        self, bell: Bell, *, answer: Callable[[UUID], None], free_places: Callable[[], int], max_threads: int
    ) -> None:
        self._bell = bell
        self._answer = answer
        self._free_places = free_places
        self._hands = ThreadPoolExecutor(max_threads, thread_name_prefix="own-ears")

    def ring(self, conversation_ids: Iterable[UUID]) -> None:
        """For all of them, and take as many as there are free places."""
        found = list(conversation_ids)
        self._bell.ring(found)
        for conversation_id in found[: max(0, self._free_places())]:
            self._hands.submit(self._answer_one, conversation_id)

    def stop(self) -> None:
        """Take nothing more; what is being answered goes on."""
        self._hands.shutdown(wait=False, cancel_futures=True)

    def _answer_one(self, conversation_id: UUID) -> None:
        try:
            self._answer(conversation_id)
        except DialogueError as error:
            log.warning("look_failed", conversation_id=str(conversation_id), error=str(error))
        except Exception as error:  # noqa: BLE001 - a thread's outermost place; what it says may hold words
            log.error("look_broke", conversation_id=str(conversation_id), error=type(error).__name__)  # noqa: TRY400 - as above
