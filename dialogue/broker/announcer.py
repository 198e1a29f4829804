"""How the hints of a committed transaction reach the other processes."""

from dialogue.broker.doorbell import Doorbell
from dialogue.broker.signals import Signals
from dialogue.storage.after_commit import Hints


class Announcer:
    """Couriers first, they may have words for somebody in danger; usable from any thread.

    Without a doorbell nobody is rung for: a process that opens no turns needs none, and the sweep finds the rest.
    """

    def __init__(self, signals: Signals, doorbell: Doorbell | None = None) -> None:
        self._signals = signals
        self._doorbell = doorbell

    def __call__(self, hints: Hints) -> None:
        """Best effort: what does not arrive is logged there, and found by the sweep."""
        self._signals.tell(owed_channels=hints.owed_channels, cancelled_turn_ids=hints.cancelled_turn_ids)
        self._signals.want(hints.wanted_on)
        if self._doorbell is not None:
            self._doorbell.ring(hints.waiting_conversation_ids)
