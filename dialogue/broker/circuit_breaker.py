"""A rest after a failure: whoever comes next is spared the same wait for an answer that will not come."""

import time


class CircuitBreaker:
    """Of something that is away; usable from any thread."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._until = 0.0

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self._until

    def begin(self) -> None:
        """It failed just now."""
        self._until = time.monotonic() + self._seconds
