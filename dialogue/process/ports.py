"""Where the processes of one host answer: at MINDGLM_METRICS_PORT plus an offset that each kind keeps for good.

The worker and the console have theirs here; each channel brings its own.
"""

from typing import Final

WORKER_OFFSET: Final = 0
CONSOLE_OFFSET: Final = 3
