"""The event loop of a process that waits for many things: uvloop where it is installed, else asyncio's own.

A turn wakes an adapter's loop some forty times; asyncio's does its bookkeeping in Python (decision 0126).
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`."""
    with asyncio.Runner(loop_factory=new) as runner:
        return runner.run(main)


def new() -> asyncio.AbstractEventLoop:
    """One that its caller runs and closes."""
    try:
        import uvloop
    except ModuleNotFoundError:  # there is none for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
