"""When a platform's "wrong token" is believed: only after minutes, because platforms say it while they are ill.

A process that gave up for good because of one refusal would leave people unheard until somebody starts it by hand.
"""

import time
from collections.abc import Callable

START_SECONDS = 30.0
"""Of a token that was never accepted: an operator who mistyped it is waiting for the word."""

_MIN_COUNT = 4


class Refusals:
    """Of one account's credentials. `patience_seconds` holds once they were accepted, here or by an earlier process."""

    def __init__(
        self,
        *,
        patience_seconds: float,
        was_accepted: bool = False,
        start_seconds: float = START_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._start_seconds = min(start_seconds, patience_seconds)
        self._was_accepted = was_accepted
        self._clock = clock
        self._count = 0
        self._since = 0.0

    @property
    def is_refused(self) -> bool:
        """Whether the last attempt was refused."""
        return self._count > 0

    def accepted(self) -> None:
        """They are good; whatever was said before was a spell."""
        self._was_accepted = True
        self._count = 0

    def refused(self) -> bool:
        """Count one more; returns whether that is the last word."""
        if self._count == 0:
            self._since = self._clock()
        self._count += 1
        patience_seconds = self._patience_seconds if self._was_accepted else self._start_seconds
        return self._count >= _MIN_COUNT and self._clock() - self._since >= patience_seconds
