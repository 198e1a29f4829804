"""An event loop in a thread, for background work while the main thread waits for input."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Self, TypeVar

from dialogue.process.ending import end_tasks

T = TypeVar("T")


class Background:
    """Runs while the context is open; pending tasks are cancelled at the end."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._running: set[Future[Any]] = set()
        self._thread = threading.Thread(target=self.loop.run_forever, name="background")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.call(_cancel_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Let it run; its result can be waited for."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        self._running.add(future)  # the loop itself holds its tasks only weakly
        future.add_done_callback(self._running.discard)
        return future

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it and wait."""
        return self.start(work).result()


async def _cancel_others() -> None:
    await end_tasks(task for task in asyncio.all_tasks() if task is not asyncio.current_task())
