"""A circuit breaker: after a failure, callers skip the broken service for a while instead of timing out again."""

import time


class CircuitBreaker:
    """Open for a fixed time after each failure; thread-safe."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._until = 0.0

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self._until

    def begin(self) -> None:
        """Record a failure."""
        self._until = time.monotonic() + self._seconds
