"""Metrics ports of the processes on one host: MINDGLM_METRICS_PORT plus a fixed offset for each kind of process.

The offsets of worker and console are here; each channel defines its own.
"""

from typing import Final

WORKER_OFFSET: Final = 0
CONSOLE_OFFSET: Final = 3
