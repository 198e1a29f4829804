"""One trace for each turn, across bot and worker, that needs nothing carried between them.

The trace's id is the turn's id. So whoever came upon the turn, and however (a ring, the sweep, a worker after another
died), writes into the same trace, and an operator finds it by what stands in the logs. Ids and figures only.
"""

from typing import Final, Protocol
from uuid import UUID

from dialogue.process.settings import DialogueSettings

Figures = str | int | float | bool


class Traces(Protocol):
    """Takes what has happened; never waits, never fails."""

    def add(self, name: str, turn_id: UUID, *, began_ns: int, ended_ns: int, **figures: Figures) -> None:
        """Something was done for that turn, between two moments in nanoseconds since 1970."""

    def close(self) -> None:
        """Send what was not sent yet; returns within seconds."""


class Untraced:
    """Nobody looks."""

    def add(self, name: str, turn_id: UUID, *, began_ns: int, ended_ns: int, **figures: Figures) -> None: ...

    def close(self) -> None: ...


UNTRACED: Final = Untraced()


def traces_for(settings: DialogueSettings, service: str) -> Traces:
    """As the settings ask for it; raises `Misconfigured` where the extra is missing."""
    if settings.traces == "off":
        return UNTRACED
    from dialogue.telemetry.opentelemetry import open_traces  # an extra, and heavy

    return open_traces(settings.traces, service)


ROOT: Final = "receive"
"""The first thing that is done for a turn; everything else hangs below it."""
