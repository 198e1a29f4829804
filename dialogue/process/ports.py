"""Metrics ports of the processes on one host: MINDGLM_METRICS_PORT plus a fixed offset for each kind of process.

The offsets of worker and console are here; each channel defines its own.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dialogue.process.settings import DialogueSettings

WORKER_OFFSET: Final = 0
CONSOLE_OFFSET: Final = 3


def port_of(offset: int, settings: "DialogueSettings") -> int | None:
    """The port of a kind of process with that offset; None if no port is configured."""
    return None if settings.metrics_port is None else settings.metrics_port + offset
