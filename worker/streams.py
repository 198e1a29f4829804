"""Publishes the partial reply: sealed, throttled, best effort. The final text comes from the outbox."""

import time

from dialogue.broker.signals import PARTIAL_COLUMN, Signals
from dialogue.core.turns import ClaimedTurn

_MIN_INTERVAL_SECONDS = 0.1


class Stream:
    """Publishes one turn's partial reply, at most every tenth of a second."""

    def __init__(self, signals: Signals, turn: ClaimedTurn) -> None:
        self._signals = signals
        self._turn = turn
        self._shown = ""
        self._next_at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the interval since the last publication has passed."""
        return time.monotonic() >= self._next_at

    def show(self, text: str) -> None:
        """Publish `text`, the whole reply so far as it may be shown, if it is due and new."""
        if text in {"", self._shown} or not self.is_due:
            return
        self._shown = text
        self._next_at = time.monotonic() + _MIN_INTERVAL_SECONDS
        sealed = self._turn.key.seal(text, row=self._turn.id, column=PARTIAL_COLUMN)
        self._signals.show(self._turn.address.channel, self._turn.id, sealed)
