"""Looks for open turns whose ring was lost, so that a broker outage only delays replies."""

from collections.abc import Callable

from dialogue.telemetry.instruments import UNMEASURED, Instruments
from dialogue.telemetry.periodic import Periodic


class FallbackPoller:
    """Looks at a fixed interval in a thread of its own.

    A ring may be lost, the broker down or the consumer stuck. Another worker may find the same turn; only one of them
    can claim it, so nothing is answered twice.
    """

    def __init__(
        self, look: Callable[[], object], *, period_seconds: float = 1.0, instruments: Instruments = UNMEASURED
    ) -> None:
        self._loop = Periodic("fallback_poll", look, period_seconds=period_seconds, instruments=instruments)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Look no more; what was claimed is answered."""
        self._loop.stop()
