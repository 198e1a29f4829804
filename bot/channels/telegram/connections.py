"""Connections to the Bot API: a pool for texts, one for files, one for all the rest, so that no kind waits for another.

A text is announced just before its first byte is sent, one text at a time, crisis words first. A file is announced just
before its last byte is sent: until then the platform cannot have acted on it, and that may take minutes.
"""

import io
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
from telegram.request import BaseRequest, HTTPXRequest, RequestData

from bot.admission import AdmissionQueue
from bot.outgoing.late_texts import MAX_EXPORTS

TIMEOUT_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_MAX_TEXTS = 96
"""More than a courier has texts on their way at once: none of them waits for a connection."""
_MAX_OTHERS = 64
_IDLE_CONNECTIONS = 8
"""The client looks at every idle connection before each request."""

Tell = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Announcement:
    tell: Tell
    priority: int


_ANNOUNCEMENT: ContextVar[_Announcement | None] = ContextVar("announcement", default=None)


@contextmanager
def told_before_it_leaves(tell: Tell, *, priority: int = 0) -> Iterator[None]:
    """A request made in this block is a text: it awaits `tell` just before its first byte is written."""
    token = _ANNOUNCEMENT.set(_Announcement(tell, priority))
    try:
        yield
    finally:
        _ANNOUNCEMENT.reset(token)


class Upload(io.BytesIO):
    """A file sent in chunks; `on_end` is called when only the end of its request remains."""

    def __init__(self, content: bytes, on_end: Callable[[], None]) -> None:
        super().__init__(content)
        self._on_end = on_end

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if not piece:
            self._on_end()
        return piece


class Connections(BaseRequest):
    """The request backend for python-telegram-bot."""

    def __init__(self, proxy: str | None, tls: ssl.SSLContext) -> None:
        self._texts = pool(_MAX_TEXTS, proxy, tls, announces=True)
        self._files = pool(MAX_EXPORTS, proxy, tls)
        self._others = pool(_MAX_OTHERS, proxy, tls)

    @property
    def read_timeout(self) -> float | None:
        return self._others.read_timeout

    async def initialize(self) -> None:
        for one in self._all:
            await one.initialize()

    async def shutdown(self) -> None:
        for one in self._all:
            await one.shutdown()

    async def do_request(
        self, url: str, method: str, request_data: RequestData | None = None, *timeouts: Any, **more_timeouts: Any
    ) -> tuple[int, bytes]:
        chosen = self._pool_for(request_data)
        return await chosen.do_request(url, method, request_data, *timeouts, **more_timeouts)

    def _pool_for(self, data: RequestData | None) -> HTTPXRequest:
        if data is not None and data.multipart_data:
            return self._files
        return self._others if _ANNOUNCEMENT.get() is None else self._texts

    @property
    def _all(self) -> tuple[HTTPXRequest, ...]:
        return (self._texts, self._files, self._others)


class _Gate:
    """Lets one announced request at a time pass from its announcement to its last byte, the most urgent first.

    A process that dies therefore leaves at most one text whose outcome is unknown.
    """

    def __init__(self) -> None:
        self._admission = AdmissionQueue(1)

    async def watch(self, request: httpx.Request) -> None:
        """For httpx's hooks; the client's own trace then says how far the request is."""
        announcement = _ANNOUNCEMENT.get()
        if announcement is not None:
            request.extensions["trace"] = partial(self._trace, announcement)

    async def _trace(self, announcement: _Announcement, event: str, _info: object) -> None:
        if event.endswith("send_request_headers.started"):
            await self._admission.enter(announcement.priority)
            try:
                await announcement.tell()
            except BaseException:
                self._admission.leave()  # the client reports no end for a request that never started
                raise
        elif event.endswith(("send_request_body.complete", "send_request_body.failed", "send_request_headers.failed")):
            self._admission.leave()


def pool(max_connections: int, proxy: str | None, tls: ssl.SSLContext, *, announces: bool = False) -> HTTPXRequest:
    """Nothing is opened yet."""
    limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=_IDLE_CONNECTIONS)
    hooks = {"event_hooks": {"request": [_Gate().watch]}} if announces else {}
    return HTTPXRequest(
        read_timeout=TIMEOUT_SECONDS,
        write_timeout=TIMEOUT_SECONDS,
        connect_timeout=_CONNECT_SECONDS,
        pool_timeout=TIMEOUT_SECONDS,
        proxy=proxy,
        httpx_kwargs={"limits": limits, "verify": tls, "trust_env": False, **hooks},
    )
