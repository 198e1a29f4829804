"""Waiting in the test's own loop, in which the adapter runs too."""

import asyncio
from collections.abc import Callable


async def until(is_true: Callable[[], object], seconds: float = 30) -> None:
    """Fails the test when it does not come true in time, which is long: other tests run beside this one."""
    async with asyncio.timeout(seconds):
        while not is_true():
            await asyncio.sleep(0.01)
