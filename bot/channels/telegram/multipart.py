"""Request bodies with files, sent in pieces from memory: on a disk a person's words would lie open."""

import asyncio
import io
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import MultipartWriter, Payload
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload

_PIECE_BYTES = 1 << 16

Part = tuple[str, Any, str]
"""What python-telegram-bot makes of a file: its name, its content, its media type."""


class Upload(io.BytesIO):
    """A file sent in pieces; `on_end` is called when only the end of its request remains."""

    def __init__(self, content: bytes, on_end: Callable[[], None]) -> None:
        super().__init__(content)
        self._on_end = on_end

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if not piece:
            self._on_end()
        return piece


class _InPieces(Payload):
    """Raises `TimeoutError` when the platform takes no piece for `stall_seconds`."""

    def __init__(self, file: io.BytesIO, stall_seconds: float | None, **headers: Any) -> None:
        super().__init__(file, **headers)
        self._file = file
        self._stall_seconds = stall_seconds
        self._size = file.getbuffer().nbytes

    async def write(self, writer: AbstractStreamWriter) -> None:
        while piece := self._file.read(_PIECE_BYTES):
            async with asyncio.timeout(self._stall_seconds):
                await writer.write(piece)
                await writer.drain()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._file.getvalue().decode(encoding, errors)


def form(fields: Mapping[str, str], files: Mapping[str, Part], *, stall_seconds: float | None) -> MultipartWriter:
    """A form of text fields and files, of known length."""
    written = MultipartWriter("form-data")
    for name, value in fields.items():
        text = value.encode("utf-8", "replace")
        written.append_payload(BytesPayload(text, headers=_headers(f'name="{name}"'), content_type="text/plain"))
    for name, (filename, content, media_type) in files.items():
        file = content if isinstance(content, io.BytesIO) else io.BytesIO(content)
        where = _headers(f'name="{name}"; filename="{_escaped(filename)}"')
        written.append_payload(_InPieces(file, stall_seconds, headers=where, content_type=media_type))
    return written


def _headers(disposition: str) -> dict[str, str]:
    return {"Content-Disposition": f"form-data; {disposition}"}


def _escaped(filename: str) -> str:
    """As browsers do: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data"""
    return filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
