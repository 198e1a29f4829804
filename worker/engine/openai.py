"""The engine port over a server that speaks OpenAI's protocol (vLLM, SGLang): for fleets and for larger models.

Closing a request's connection cancels it; such servers expect that. One thread runs all connections.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

from dialogue.process import event_loop
from dialogue.process.ending import end_tasks
from worker.engine.completions import Completions, Server
from worker.engine.open_requests import OpenRequests
from worker.engine.output_collector import OutputCollector
from worker.engine.port import EngineFailed, Load, Progress, Request

T = TypeVar("T")

_LET_END_SECONDS = 0.5
_STOP_SECONDS = 5.0
"""For the ends of open requests, and again for the connections: what has not ended by then is named and left."""


class OpenAI:
    """Sends up to `capacity` requests at once; further ones wait for a connection."""

    def __init__(self, server: Server, *, capacity: int) -> None:
        self.capacity = capacity
        self._completions = Completions(server, max_connections=capacity)
        self._open_requests = OpenRequests()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def model_version(self) -> str:
        """The server's name of the model."""
        return f"openai:{self._completions.model}"

    @property
    def prompt_version(self) -> str:
        """Names the prompt format."""
        return self._completions.prompt_version

    @property
    def load(self) -> Load:
        """Requests with a connection and requests waiting for one; the server's own queue is not visible."""
        open_count = len(self._open_requests)
        return Load(running=min(open_count, self.capacity), waiting=max(0, open_count - self.capacity))

    def fatal_error(self) -> str | None:
        """None: a server that is down may come back, and a new process would not reach it sooner."""
        return None

    def is_ready(self) -> bool:
        """Always: whether somebody else's server answers is known only by asking it."""
        return True

    def start(self) -> None:
        """Find the server and its model. Raises `ModelUnusable`."""
        self._loop = event_loop.new()
        self._thread = threading.Thread(target=self._loop.run_forever, name="openai", daemon=True)
        self._thread.start()
        try:
            self._wait(self._completions.start())
        except BaseException:
            self.stop()
            raise
        self._open_requests.open()

    def stop(self) -> None:
        """Cancel open requests and close the connections."""
        self._open_requests.close()
        if self._loop is None or self._thread is None:
            return
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    async def _end(self) -> None:
        """What does not end is named in the log and left: the process has to end."""
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=_LET_END_SECONDS)  # their readers are ending them
            await end_tasks(others, within_seconds=_STOP_SECONDS)
        closing = asyncio.ensure_future(self._completions.stop())
        await asyncio.wait({closing}, timeout=_STOP_SECONDS)
        await end_tasks([closing], within_seconds=_STOP_SECONDS)

    def cancel(self, request_id: str) -> None:
        """End the open streams of this id at once."""
        self._open_requests.cancel(request_id)

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        """Yield the reply as it grows; see the port."""
        return self._stream(request, OutputCollector(time.monotonic() + request.deadline_seconds))

    def _stream(self, request: Request, collector: OutputCollector) -> Generator[Progress, None, None]:
        if (loop := self._loop) is None:
            raise EngineFailed("the engine is not running")
        tasks: list[asyncio.Task[Any]] = []
        with self._open_requests.opened(request.id, collector):
            replying = asyncio.run_coroutine_threadsafe(self._reply(request, collector, tasks), loop)
            try:
                yield from collector.read()
            finally:
                if not replying.done() and not loop.is_closed():
                    # a single cancellation may be swallowed, and two at once disturb the closing of the connection
                    asyncio.run_coroutine_threadsafe(end_tasks(tasks), loop)

    async def _reply(self, request: Request, collector: OutputCollector, tasks: "list[asyncio.Task[Any]]") -> None:
        if (task := asyncio.current_task()) is not None:
            tasks.append(task)
        await self._completions.reply(request, collector)

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            raise EngineFailed("the engine is not running")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
