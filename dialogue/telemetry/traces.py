"""One trace per turn, across bot and worker, without passing any trace context between them.

The trace id is the turn id. Every process that handles the turn (after a task message, a sweep, or another worker's
death) therefore writes to the same trace, and an operator finds it by the id in the logs. Ids and numbers only.
"""

from typing import Final, Protocol
from uuid import UUID

from dialogue.process.settings import DialogueSettings

Figures = str | int | float | bool


class Traces(Protocol):
    """Records spans; never blocks, never raises."""

    def add(self, name: str, turn_id: UUID, *, began_ns: int, ended_ns: int, **figures: Figures) -> None:
        """Record work on that turn between two times (nanoseconds since 1970)."""

    def close(self) -> None:
        """Flush what has not been sent yet; returns within seconds."""


class Untraced:
    """No traces configured."""

    def add(self, name: str, turn_id: UUID, *, began_ns: int, ended_ns: int, **figures: Figures) -> None: ...

    def close(self) -> None: ...


UNTRACED: Final = Untraced()


def traces_for(settings: DialogueSettings, service: str) -> Traces:
    """The recorder that the settings ask for; raises `Misconfigured` if the extra is not installed."""
    if settings.traces == "off":
        return UNTRACED
    from dialogue.telemetry.opentelemetry import open_traces  # an optional extra, slow to import

    return open_traces(settings.traces, service)


ROOT: Final = "receive"
"""The root span of a turn; all others are its children."""
