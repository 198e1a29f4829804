"""Waiting for what other tasks, threads and processes do: the one way that every test waits.

A test that waits for something to happen is quick on a quiet machine and late on a busy one, never wrong. There is no
way here to wait for nothing to happen: make the next thing happen after it, and look at what came before.
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


async def until(is_true: Callable[[], object], seconds: float = 10) -> None:
    """Wait in the test's own loop; raises `TimeoutError` when it does not come true in time."""
    began_at = time.monotonic()
    async with asyncio.timeout(seconds * _PATIENCE):
        while not is_true():
            await asyncio.sleep(_pause(time.monotonic() - began_at))


def wait_until(is_true: Callable[[], object], seconds: float = 10) -> None:
    """Wait for another thread or process; fails the test when it does not come true in time."""
    began_at = time.monotonic()
    while not is_true():
        waited_seconds = time.monotonic() - began_at
        assert waited_seconds < seconds * _PATIENCE, f"did not come true within {seconds} seconds"
        time.sleep(_pause(waited_seconds))


def _pause(waited_seconds: float) -> float:
    return min(max(_LOOK_SECONDS, _SHARE * waited_seconds), _MAX_LOOK_SECONDS)
