"""A platform's adapter that runs in the test's loop."""

import asyncio
from collections.abc import Callable
from typing import Protocol

_PATIENCE_SECONDS = 30


class Adapter(Protocol):
    async def run(self, on_ready: Callable[[], None]) -> None: ...

    def stop(self) -> None: ...


class Running:
    """From when it listens until it has ended."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._ready = asyncio.Event()
        self._task = asyncio.create_task(adapter.run(self._ready.set))

    async def listens(self) -> "Running":
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await self._ready.wait()
        return self

    async def stop(self) -> None:
        """Raises what ended it, if it ended by itself."""
        self._adapter.stop()
        await asyncio.wait_for(self._task, _PATIENCE_SECONDS)
