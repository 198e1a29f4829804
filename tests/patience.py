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


async def until(is_true: Callable[[], object], seconds: float = 10) -> None:
    """Wait in the test's own loop; raises `TimeoutError` when it does not come true in time."""
    async with asyncio.timeout(seconds * _PATIENCE):
        while not is_true():
            await asyncio.sleep(_LOOK_SECONDS)


def wait_until(is_true: Callable[[], object], seconds: float = 10) -> None:
    """Wait for another thread or process; fails the test when it does not come true in time."""
    deadline = time.monotonic() + seconds * _PATIENCE
    while not is_true():
        assert time.monotonic() < deadline, f"did not come true within {seconds} seconds"
        time.sleep(_LOOK_SECONDS)
