"""Connections to the Bot API: a pool for texts, one for files, one for all the rest, so that no kind waits for another.

A text is announced just before its first byte is sent, one text at a time, crisis words first. A file is announced just
before its last byte is sent: until then the platform cannot have acted on it, and that may take minutes.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from telegram.request import RequestData

from bot.admission import AdmissionQueue
from bot.channels.telegram.http_pool import HttpPool, JsonRequest
from bot.outgoing.late_texts import MAX_EXPORTS

_MAX_TEXTS = 96
"""More than a courier has texts on their way at once: none of them waits for a connection."""
_MAX_OTHERS = 64

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


class Connections(JsonRequest):
    """The request backend for python-telegram-bot. Raises what `HttpPool` raises."""

    def __init__(self, proxy_url: str | None, tls: ssl.SSLContext) -> None:
        self._texts = HttpPool(_MAX_TEXTS, proxy_url, tls, passing=_Gate().passed)
        self._files = HttpPool(MAX_EXPORTS, proxy_url, tls)
        self._others = HttpPool(_MAX_OTHERS, proxy_url, tls)

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

    def _pool_for(self, data: RequestData | None) -> HttpPool:
        if data is not None and data.contains_files:
            return self._files
        return self._others if _ANNOUNCEMENT.get() is None else self._texts

    @property
    def _all(self) -> tuple[HttpPool, ...]:
        return (self._texts, self._files, self._others)


class _Gate:
    """Lets one announced request at a time pass from its announcement to its last byte, the most urgent first.

    A process that dies therefore leaves at most one text whose outcome is unknown.
    """

    def __init__(self) -> None:
        self._admission = AdmissionQueue(1)

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        announcement = _ANNOUNCEMENT.get()
        if announcement is None:
            raise AssertionError("only texts pass here")
        async with self._admission.admitted(announcement.priority):
            await announcement.tell()
            yield
