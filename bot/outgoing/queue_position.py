"""Tells people who wait for a worker their place in the queue; one query serves all of them."""

import asyncio
import time
from datetime import timedelta
from uuid import UUID

from bot.executors import Executors, PriorityExecutor
from care.languages import spoken
from care.texts import Texts
from dialogue.core import pending
from dialogue.core import queue_position as waiting
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database

_LOOK_SECONDS = 2.0


def words_for(texts: Texts, ahead: int) -> str:
    """Honest, and without a promise of minutes that nobody can keep."""
    return texts.say("waiting_line", ahead=ahead) if ahead else texts.say("waiting_next")


class QueuePositions:
    """The line as it was a moment ago. `patience_seconds` 0 tells nobody anything."""

    def __init__(
        self,
        database: Database,
        texts: Texts,
        *,
        patience_seconds: float,
        executor: PriorityExecutor | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.patience_seconds = patience_seconds
        self._database = database
        self._texts = texts
        self._executor = executor or Executors().display
        self._clock = clock
        self._looked_at = -_LOOK_SECONDS
        self._words: dict[UUID, str] = {}
        self._looking = asyncio.Lock()

    async def words_for(self, turn_id: UUID) -> str | None:
        """None while nothing is to be said: somebody answers, or it is too soon. Raises `DatabaseUnavailable`."""
        if not self.patience_seconds:
            return None
        async with self._looking:
            if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
                self._words = await self._executor.run(self._look)
                self._looked_at = time.monotonic()
        return self._words.get(turn_id)

    def _look(self) -> dict[UUID, str]:
        since = self._clock() - timedelta(seconds=self.patience_seconds)
        with self._database.read() as session:
            line = [one for one in waiting.line(session) if one.since <= since]
            speak = pending.languages_of(session, [one.turn_id for one in line])
        return {one.turn_id: words_for(spoken(self._texts, speak.get(one.turn_id)), one.ahead) for one in line}
