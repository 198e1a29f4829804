"""The same port over a server that speaks OpenAI's protocol (vLLM, SGLang): for fleets and for larger models.

A request is cancelled by closing its connection, which is how such servers are told. One thread runs all connections.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

from worker.engine.completions import Completions, Server
from worker.engine.mailbox import Mailbox
from worker.engine.open_requests import OpenRequests
from worker.engine.port import EngineFailed, Load, Progress, Request

T = TypeVar("T")


class OpenAI:
    """Asks for up to `capacity` replies at once; the others wait for a connection."""

    def __init__(self, server: Server, *, capacity: int) -> None:
        self.capacity = capacity
        self._completions = Completions(server, max_connections=capacity)
        self._openings = OpenRequests()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def model_version(self) -> str:
        """The server's name of the model."""
        return f"openai:{self._completions.model}"

    @property
    def prompt_version(self) -> str:
        """Names the prompt's form."""
        return self._completions.prompt_version

    @property
    def load(self) -> Load:
        """How many have a connection, and how many wait for one; the server's own queue is not seen."""
        open_count = len(self._openings)
        return Load(running=min(open_count, self.capacity), waiting=max(0, open_count - self.capacity))

    def trouble(self) -> str | None:
        """None: a server that is away may come back, and a new process would not find it sooner."""
        return None

    def start(self) -> None:
        """Find the server and its model. Raises `ModelUnusable`."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="openai", daemon=True)
        self._thread.start()
        try:
            self._wait(self._completions.start())
        except BaseException:
            self.stop()
            raise
        self._openings.open()

    def stop(self) -> None:
        """Cancel what is open and close the connections."""
        self._openings.close()
        if self._loop is None or self._thread is None:
            return
        self._wait(self._completions.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def cancel(self, request_id: str) -> None:
        """End the open streams of this id at once."""
        self._openings.cancel(request_id)

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        """Yield the growing reply; see the port."""
        return self._stream(request, Mailbox(time.monotonic() + request.deadline_seconds))

    def _stream(self, request: Request, mailbox: Mailbox) -> Generator[Progress, None, None]:
        if self._loop is None:
            raise EngineFailed("the engine is not running")
        with self._openings.opened(request.id, mailbox):
            task = asyncio.run_coroutine_threadsafe(self._completions.reply(request, mailbox), self._loop)
            try:
                yield from mailbox.read()
            finally:
                task.cancel()

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            raise EngineFailed("the engine is not running")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
