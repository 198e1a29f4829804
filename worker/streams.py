"""The reply while it grows: sealed, throttled, best effort. The final text comes from the outbox."""

import time

from dialogue.broker.signals import PARTIAL_COLUMN, Signals
from dialogue.core.turns import ClaimedTurn

_MIN_PAUSE_SECONDS = 0.1


class Stream:
    """Shows one turn's reply, at most every tenth of a second."""

    def __init__(self, signals: Signals, turn: ClaimedTurn) -> None:
        self._signals = signals
        self._turn = turn
        self._shown = ""
        self._next_at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to show more."""
        return time.monotonic() >= self._next_at

    def show(self, text: str) -> None:
        """`text` is the whole reply so far, as far as it may be shown."""
        if text in {"", self._shown} or not self.is_due:
            return
        self._shown = text
        self._next_at = time.monotonic() + _MIN_PAUSE_SECONDS
        sealed = self._turn.key.seal(text, row=self._turn.id, column=PARTIAL_COLUMN)
        self._signals.show(self._turn.address.channel, self._turn.id, sealed)
