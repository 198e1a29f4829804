"""A small HTTP/1.1 server for the loopback Bot API, quick enough to be no part of what is measured, and its posts."""

import asyncio
import http.client
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.services.listening import ListeningServer

_JSON_FIELDS = {
    "reply_markup",
    "reply_parameters",
    "scope",
    "link_preview_options",
    "allowed_updates",
    "commands",
    "entities",
    "media",
}


class Dropped(Exception):
    """Close the connection without an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json"


Handler = Callable[[str, dict[str, Any]], Awaitable[Answer]]
"""Called with a path and the fields of a form, a query or a JSON body."""


ReadBody = Callable[[asyncio.StreamReader, int], Awaitable[bytes]]
"""Reads a body of so many bytes."""


async def _read_at_once(reader: asyncio.StreamReader, length: int) -> bytes:
    return await reader.readexactly(length)


async def serve(handler: Handler, *, read_body: ReadBody = _read_at_once) -> ListeningServer:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await _exchange(handler, reader, writer, read_body):
            pass

    return await ListeningServer(connected, limit=1 << 20).start()


async def _exchange(
    handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, read_body: ReadBody
) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await read_body(reader, int(headers.get("content-length", 0)))
    url = urlsplit(head[0].split(" ")[1])
    try:
        answer = await handler(url.path, dict(parse_qsl(url.query)) | _fields(headers.get("content-type", ""), body))
    except Dropped:
        return False
    writer.write(
        f"HTTP/1.1 {answer.status} X\r\nContent-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n\r\n".encode()
        + answer.body
    )
    await writer.drain()
    return headers.get("connection", "").lower() != "close"


def _fields(content_type: str, body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    if content_type.startswith("application/json"):
        return dict(json.loads(body))
    if content_type.startswith("multipart/form-data"):
        return _parts(content_type, body)
    return {name: _value(name, text) for name, text in parse_qsl(body.decode(), keep_blank_values=True)}


def _parts(content_type: str, body: bytes) -> dict[str, Any]:
    """Files are bytes, the other fields text."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    fields: dict[str, Any] = {}
    for part in message_from_bytes(head + body, policy=policy.HTTP).iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        fields[name] = content if part.get_filename() else _value(name, content.decode())
    return fields


def _value(name: str, text: str) -> Any:
    """The library writes objects and lists as JSON into form fields."""
    return json.loads(text) if name in _JSON_FIELDS else text


def post(url: str, document: str, headers: dict[str, str]) -> int:
    """Send JSON, in a thread's own time; the status, 0 where nobody answered."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("POST", parts.path, document, {"Content-Type": "application/json", **headers})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
