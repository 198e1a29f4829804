"""How a large request comes in: as fast as it can, at a given rate, or held until a test lets it go on."""

import asyncio
import socket

from tests.services.listening import ListeningServer

_LARGE_BYTES = 1 << 16
_PIECE_BYTES = 1 << 15


class Uploads:
    """For the server's loop, but for `hold`, `release` and what is read."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.bytes_per_second: float | None = None
        self.begun_count = 0
        self._loop = loop
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()

    def hold(self, server: ListeningServer) -> None:
        """Large requests stay unread from now on: with a small buffer the sender feels it."""
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LARGE_BYTES)
        self._may_go_on.clear()

    def release(self) -> None:
        self._loop.call_soon_threadsafe(self._may_go_on.set)

    async def read(self, reader: asyncio.StreamReader, length: int) -> bytes:
        if length <= _LARGE_BYTES:
            return await reader.readexactly(length)
        self.begun_count += 1
        body = bytearray()
        while len(body) < length:
            await self._may_go_on.wait()
            piece = min(_PIECE_BYTES, length - len(body))
            body += await reader.readexactly(piece)
            if self.bytes_per_second is not None:
                await asyncio.sleep(piece / self.bytes_per_second)
        return bytes(body)
