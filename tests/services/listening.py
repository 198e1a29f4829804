"""A server on the loopback none of whose connections outlives it: an unclosed one fails whatever test runs next."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ListeningServer:
    """`asyncio.Server` with an end. A connection is known before its handler has begun to run."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: dict[asyncio.StreamWriter, asyncio.Future[None]] = {}

    async def start(self, *, limit: int = 1 << 16) -> "ListeningServer":
        """`limit`: bytes of the longest line."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=limit)
        return self

    @property
    def sockets(self) -> Sequence[socket.socket]:
        return self._server.sockets

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Ends the handlers too; what was not sent yet is not sent."""
        self._server.close()
        await asyncio.sleep(0)  # what has just been accepted is connected in the next round
        for writer, handling in list(self._connections.items()):
            handling.cancel()
            writer.transport.abort()
        await asyncio.gather(*self._connections.values(), return_exceptions=True)
        await asyncio.sleep(0)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[writer] = asyncio.ensure_future(self._handle(reader, writer))

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._handler(reader, writer)
        finally:
            writer.close()
            self._connections.pop(writer, None)
