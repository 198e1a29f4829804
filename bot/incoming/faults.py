"""Tells a message that cannot be processed from a fault in the environment, which must never cost anybody's words."""

import time
from collections.abc import Callable

from dialogue.errors import EnvironmentFault

_MIN_ATTEMPTS = 3
_MAX_SECONDS = 300.0
"""An unforeseen error that lasts so long is taken to be the message's own, also where nobody else writes."""


class CannotParse(Exception):
    """A platform's update has another shape than this version knows; the argument names the error, without words."""


class Faults:
    """Of one adapter. A message is at fault only if it cannot be parsed, or if others are stored while it fails."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stored_at = float("-inf")
        self._failures: dict[str, tuple[int, float]] = {}

    def stored(self, message: str) -> None:
        """That message was stored, so the environment is well."""
        self._stored_at = self._clock()
        self._failures.pop(message, None)

    def failed(self, message: str, error: Exception) -> bool:
        """Whether the message itself is at fault, and may be kept for staff so that others go on."""
        attempts, since = self._failures.get(message, (0, self._clock()))
        is_its_own = self._is_its_own(error, attempt=attempts + 1, since=since)
        if is_its_own:
            self._failures.pop(message, None)
        else:
            self._failures[message] = (attempts + 1, since)
        return is_its_own

    def _is_its_own(self, error: Exception, *, attempt: int, since: float) -> bool:
        if isinstance(error, CannotParse):
            return True
        if isinstance(error, EnvironmentFault | OSError | MemoryError) or attempt < _MIN_ATTEMPTS:
            return False
        return self._stored_at > since or self._clock() - since > _MAX_SECONDS
