"""One pool of HTTP connections to the Bot API on aiohttp, as a request backend of python-telegram-bot.

Errors are told by their type alone: addresses hold the token, and answers hold people's words.
"""

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import certifi
from aiohttp import ClientRequest, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.connector import Connection
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData

from bot.channels.telegram.multipart import form
from bot.channels.telegram.server_answers import parsed, status_of

TIMEOUT_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 15.0
"""A connection that was unused for so long is closed, before something on the way forgets it."""
_SOCKS_PORT = 1080
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Passing = Callable[[], AbstractAsyncContextManager[None]]


class TooLong(Exception):
    """The answer is larger than it may be; the rest of it was not read."""


class NotSent(Exception):
    """The request failed before its first byte: it had no effect."""


@dataclass(slots=True)
class _Departure:
    passing: Passing
    transport: asyncio.Transport | None = None
    """What it has left by."""


_DEPARTURE: ContextVar[_Departure] = ContextVar("departure")


class _Request(ClientRequest):
    """Writes its first byte inside `passing`, once its connection is ready."""

    async def send(self, conn: Connection) -> ClientResponse:
        departure = _DEPARTURE.get()
        async with departure.passing():
            if conn.transport is None or conn.transport.is_closing():  # the other side has closed it meanwhile
                raise NotSent
            departure.transport = conn.transport
            response = await super().send(conn)
            if departure.passing is not nullcontext and (writing := response._writer) is not None:  # noqa: SLF001 - its only place
                await asyncio.wait({writing})  # before Python 3.12 aiohttp leaves the bytes to a task
            return response


class JsonRequest(BaseRequest):
    """The library logs an answer that it cannot parse, with all that is in it; this does not."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> Any:
        return parsed(payload)


class HttpPool(JsonRequest):
    """At most `max_connections`, kept open between requests. `passing` is entered just before a request's first byte.

    Raises `ValueError` or `ImportError` for a proxy that cannot be used. Nothing is opened yet.
    """

    def __init__(
        self,
        max_connections: int,
        proxy_url: str | None,
        tls: ssl.SSLContext,
        *,
        passing: Passing = nullcontext,
    ) -> None:
        is_socks = proxy_url is not None and proxy_url.startswith("socks")
        self._proxy = proxy_url if not is_socks else None
        self._connector = _socks(proxy_url) if is_socks and proxy_url is not None else TCPConnector
        self._limits: dict[str, Any] = {"limit": max_connections, "keepalive_timeout": _IDLE_SECONDS, "ssl": tls}
        self._passing = passing
        self._session: ClientSession | None = None

    @property
    def read_timeout(self) -> float | None:
        return TIMEOUT_SECONDS

    async def initialize(self) -> None:
        if self._session is None:
            self._session = ClientSession(
                connector=self._connector(**self._limits),
                request_class=_Request,
                cookie_jar=DummyCookieJar(),
                headers={"User-Agent": self.USER_AGENT},
                proxy=self._proxy,
            )

    async def shutdown(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def do_request(  # noqa: PLR0917 - the library's own signature
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("used before initialize or after shutdown")
        limits = _limits(
            _or_default(read_timeout, TIMEOUT_SECONDS),
            _or_default(connect_timeout, _CONNECT_SECONDS),
            _or_default(pool_timeout, TIMEOUT_SECONDS),
        )
        data, headers = _body(request_data, _or_default(write_timeout, TIMEOUT_SECONDS))
        with _departing(_Departure(self._passing)):
            async with self._session.request(
                method, url, data=data, headers=headers, timeout=limits, allow_redirects=False
            ) as response:
                body = await response.read()
                return status_of(response.status, body), body

    async def download(self, url: str, *, max_bytes: int) -> tuple[int, bytes]:
        """The status and the body of a file, which may take as long as it goes on coming. Raises `TooLong`."""
        if self._session is None:
            raise RuntimeError("used before initialize or after shutdown")
        limits = _limits(TIMEOUT_SECONDS, _CONNECT_SECONDS, TIMEOUT_SECONDS)
        with _departing(_Departure(self._passing)):
            async with self._session.get(url, timeout=limits, allow_redirects=False) as response:
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > max_bytes:
                        raise TooLong
                return response.status, bytes(body)


@contextmanager
def _departing(departure: _Departure) -> Iterator[None]:
    """What goes wrong is told as the library's errors."""
    token = _DEPARTURE.set(departure)
    try:
        yield
    except BaseException as error:
        if departure.transport is not None:
            departure.transport.abort()  # nothing more of it is sent: an upload may be half written
        if isinstance(error, TimeoutError):
            raise TimedOut from _cause(error, departure)
        if isinstance(error, Exception) and not isinstance(
            error, TooLong
        ):  # the library would name it with the address
            raise NetworkError(type(error).__name__) from _cause(error, departure)
        raise
    finally:
        _DEPARTURE.reset(token)


def tls_context() -> ssl.SSLContext:
    """One for all pools, with the authorities of certifi, or those that SSL_CERT_FILE or SSL_CERT_DIR names."""
    file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    tls = ssl.create_default_context(cafile=file or (None if directory else certifi.where()), capath=directory)
    tls.set_alpn_protocols(["http/1.1"])
    return tls


def _cause(error: Exception, departure: _Departure) -> Exception:
    if departure.transport is not None or isinstance(error, NotSent):
        return error
    not_sent = NotSent(type(error).__name__)
    not_sent.__cause__ = error
    return not_sent


def _body(data: RequestData | None, stall_seconds: float | None) -> tuple[Any, dict[str, str] | None]:
    if data is None:
        return None, None
    if data.contains_files:
        return form(data.json_parameters, data.multipart_data or {}, stall_seconds=stall_seconds), None
    if not (fields := data.json_parameters):
        return None, None
    return urlencode(fields, errors="replace").encode(), _FORM  # what every server of others reads, too


@cache
def _limits(read_seconds: float | None, connect_seconds: float | None, pool_seconds: float | None) -> ClientTimeout:
    until_connected = None if connect_seconds is None or pool_seconds is None else connect_seconds + pool_seconds
    return ClientTimeout(total=None, connect=until_connected, sock_connect=connect_seconds, sock_read=read_seconds)


def _or_default(timeout: Any, default: float) -> float | None:
    return default if timeout is BaseRequest.DEFAULT_NONE else timeout


def _socks(proxy_url: str) -> Callable[..., TCPConnector]:
    """Connects through a SOCKS 5 proxy, which looks the host's name up."""
    from aiohttp_socks import ProxyConnector, ProxyType  # only where it is needed

    parts = urlsplit(proxy_url)
    proxy: dict[str, Any] = {
        "proxy_type": ProxyType.SOCKS5,
        "host": parts.hostname,
        "port": parts.port or _SOCKS_PORT,
        "username": unquote(parts.username or "") or None,
        "password": unquote(parts.password or "") or None,
        "rdns": True,
    }

    def connector(**limits: Any) -> TCPConnector:
        return ProxyConnector(**proxy, **limits)

    return connector
