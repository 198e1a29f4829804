"""A server on the loopback none of whose connections outlives it: an unclosed one fails whatever test runs next."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ListeningServer:
    """What `asyncio.Server` is, with an end: that one may still be accepting somebody after it was closed."""

    def __init__(self, handler: Handler, *, limit: int = 1 << 16) -> None:
        """`limit`: bytes of the longest line."""
        self._handler = handler
        self._limit = limit
        self._handling: dict[socket.socket, asyncio.Task[None]] = {}

    async def start(self) -> "ListeningServer":
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self.socket, self._accept)
        return self

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    async def close(self) -> None:
        """Ends the handlers too; what was not sent yet is not sent."""
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()
        handling = dict(self._handling)
        for task in handling.values():
            task.cancel()
        await asyncio.gather(*handling.values(), return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next round
        for accepted in handling:
            accepted.close()  # if its handler was cancelled before it began

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            accepted, _ = self.socket.accept()
            self._handling[accepted] = asyncio.create_task(self._handle(accepted))

    async def _handle(self, accepted: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted, limit=self._limit)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._handler(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()
            self._handling.pop(accepted, None)
