"""Claims the turns that are open, as many as there is room for, and has each answered in a thread.

One thread looks at a time. Who comes meanwhile goes away at once: another look follows, which finds what it came for.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import structlog

from dialogue.core.turns import ClaimedTurn
from dialogue.errors import DialogueError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_PAUSE_SECONDS_A_TURN = 0.0005
_MAX_PAUSE_SECONDS = 0.02
"""Between two looks, by the number of turns in progress: a busy worker takes more turns at once, an idle one waits for
nothing."""
_ENGINE_LOOK_SECONDS = 0.5
"""Between two questions whether an engine that was away is there again; nobody tells."""
_SHARE = 4
"""A look pauses for so many times as long as it took: what waits behind a full worker is not read all the time."""
_MAX_SLOW_PAUSE_SECONDS = 0.5


class Dispatcher:
    """`claim` returns up to so many turns that are now ours. Whoever ends one calls `ended` and then `look_again`."""

    def __init__(
        self,
        *,
        claim: Callable[[int], Sequence[ClaimedTurn]],
        answer: Callable[[ClaimedTurn], None],
        executor: Executor,
        room: int,
        is_ready: Callable[[], bool] = lambda: True,
        ring_on: Callable[[], None] = lambda: None,
    ) -> None:
        self._claim = claim
        self._answer = answer
        self._executor = executor
        self._max_turns = room
        self._is_ready = is_ready
        self._ring_on = ring_on
        self._changed = threading.Condition()
        self._turn_count = 0
        self._is_wanted = False
        self._is_looking = False
        self._is_stopping = False
        self._next_look_at = 0.0
        self.may_be_more = False
        """Whether the last look had room for fewer than there may be."""

    @property
    def room(self) -> int:
        """How many more turns are taken; none while the engine is away."""
        return self._max_turns - self._turn_count if self._is_ready() and not self._is_stopping else 0

    def rung(self) -> None:
        """Somebody rang. Returns when this worker has room again: until then a ring is for the others.

        Raises `DatabaseUnavailable`.
        """
        self.look()
        if self.room <= 0 and not self._is_stopping:
            self._ring_on()
            self._wait_for_room()

    def look(self) -> None:
        """Claim what is open now, if there is room. Raises `DatabaseUnavailable`."""
        with self._changed:
            self._is_wanted = True
            if self._is_looking:
                return
            self._is_looking = True
        try:
            while self._goes_on():
                self._look_once()
        except BaseException:
            with self._changed:
                self._is_looking = False
            raise

    def ended(self) -> None:
        """A turn is answered or given up: its place is free."""
        with self._changed:
            self._turn_count -= 1
            self._changed.notify_all()

    def look_again(self) -> None:
        """After turns ended: their conversations may have gone on. When the database is away, the poll looks later."""
        try:
            self.look()
        except DialogueError as error:
            log.debug("look_failed", error=str(error))

    def claim_no_more(self) -> None:
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def _wait_for_room(self) -> None:
        with self._changed:
            while self.room <= 0 and not self._is_stopping:
                self._changed.wait(_ENGINE_LOOK_SECONDS)

    def _goes_on(self) -> bool:
        with self._changed:
            self._is_looking = self._is_wanted and not self._is_stopping
            self._is_wanted = False
            return self._is_looking

    def _look_once(self) -> None:
        pause = self._next_look_at - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        began_at = time.monotonic()
        room = self.room
        claimed = self._claim(room) if room > 0 else ()
        self.may_be_more = len(claimed) >= room
        self._take(claimed)
        now = time.monotonic()
        slow = min(_MAX_SLOW_PAUSE_SECONDS, _SHARE * (now - began_at)) if self.room <= 0 else 0.0
        self._next_look_at = now + max(slow, min(_MAX_PAUSE_SECONDS, _PAUSE_SECONDS_A_TURN * self._turn_count))

    def _take(self, claimed: Sequence[ClaimedTurn]) -> None:
        with self._changed:
            self._turn_count += len(claimed)
        for turn in claimed:
            self._executor.submit(self._answer, turn)
