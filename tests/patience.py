"""Waiting for what other tasks, threads and processes do: the one way that every test waits.

A test that waits for something to happen is quick on a quiet machine and late on a busy one, never wrong. There is no
way here to wait for nothing to happen: make the next thing happen after it, and look at what came before.
Patience is counted in pauses between looks: a loop or a process that stands still meanwhile uses up none.
"""

import asyncio
import time
from collections.abc import Callable

_PATIENCE = 3
"""Times as long as on a quiet machine."""

_LOOK_SECONDS = 0.01
_MAX_LOOK_SECONDS = 0.1
_SHARE = 0.05
"""The longer the wait, the rarer the looks, so that they do not take the time of what is waited for."""

_REST = 3
"""Times as long as a look took, where that is longer: a look may be a whole command."""
_MAX_REST_SECONDS = 2


async def until(is_true: Callable[[], object], seconds: float = 10) -> None:
    """Wait in the test's own loop; raises `TimeoutError` when it does not come true in time."""
    waited_seconds, began_at = 0.0, time.monotonic()
    while not is_true():
        if waited_seconds >= seconds * _PATIENCE:
            raise TimeoutError(f"did not come true within {seconds} seconds")
        pause = _pause(waited_seconds, time.monotonic() - began_at)
        await asyncio.sleep(pause)
        waited_seconds, began_at = waited_seconds + pause, time.monotonic()


def wait_until(is_true: Callable[[], object], seconds: float = 10) -> None:
    """Wait for another thread or process; fails the test when it does not come true in time."""
    waited_seconds, began_at = 0.0, time.monotonic()
    while not is_true():
        assert waited_seconds < seconds * _PATIENCE, f"did not come true within {seconds} seconds"
        pause = _pause(waited_seconds, time.monotonic() - began_at)
        time.sleep(pause)
        waited_seconds, began_at = waited_seconds + pause, time.monotonic()


def _pause(waited_seconds: float, look_seconds: float) -> float:
    pause = min(max(_LOOK_SECONDS, _SHARE * waited_seconds), _MAX_LOOK_SECONDS)
    return max(pause, min(_REST * look_seconds, _MAX_REST_SECONDS))
