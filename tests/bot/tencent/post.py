"""Posts to a callback, quick enough to be no part of what is measured."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit


async def post(url: str, body: bytes, *, seconds: float) -> tuple[int, bytes]:
    """The status and the body of the answer; 0 where none came in that time."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
        async with asyncio.timeout(seconds):
            return await _exchange(url, body)
    return 0, b""


async def _exchange(url: str, body: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        head = f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer, _, content = (await reader.read()).partition(b"\r\n\r\n")
        return int(answer.split(b" ", 2)[1]) if answer else 0, content
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
