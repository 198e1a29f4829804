"""JSON over HTTP, asked from threads: that costs half the time of an asynchronous client, and far less memory.

The addresses hold secrets, so none is logged or raised.
"""

import asyncio
import logging
import os
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationParseError, NewConnectionError
from urllib3.util import make_headers, parse_url

from bot.channels.tencent.errors import Unreachable
from bot.executors import PriorityExecutor
from dialogue.errors import Misconfigured

CONTENT = "content"
"""The only field of an answer that is no JSON: its bytes."""


class JsonClient:
    """Of one server, with connections that are kept; the environment may name a proxy (HTTPS_PROXY, NO_PROXY)."""

    def __init__(self, url: str, *, max_at_once: int) -> None:
        """Raises `Misconfigured`."""
        logging.getLogger("urllib3.connection").setLevel(logging.ERROR)  # warns of headers with the address
        self._url = url.rstrip("/")
        self._connections = _connections(self._url, max_at_once)
        self._threads = PriorityExecutor("api", threads=max_at_once)

    async def close(self) -> None:
        """Returns when the requests under way have ended."""
        with ThreadPoolExecutor(1) as waiting:
            await asyncio.wrap_future(waiting.submit(self._threads.close))
        self._connections.clear()

    async def ask(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        fields: Mapping[str, Any] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        seconds: float,
    ) -> dict[str, Any]:
        """POST `fields` as JSON, or `files` by name and content; GET without either. Raises `Unreachable`.

        An answer that is a file, by its Content-Disposition, is its bytes under `CONTENT`.
        """
        call = partial(self._ask, path, query, fields, files, seconds)
        return await self._threads.run(call)

    def _ask(
        self,
        path: str,
        query: Mapping[str, str],
        fields: Mapping[str, Any] | None,
        files: Mapping[str, tuple[str, bytes]] | None,
        seconds: float,
    ) -> dict[str, Any]:
        try:
            response = self._connections.request(
                "GET" if fields is None and files is None else "POST",
                f"{self._url}/{path}?{urlencode(query)}",
                json=fields,
                fields={name: (*file, "application/octet-stream") for name, file in files.items()} if files else None,
                timeout=Timeout(total=seconds),
                retries=False,
                redirect=False,
            )
            answer = _read(response)
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            never_arrived = isinstance(error, NewConnectionError | ConnectTimeoutError)
            raise Unreachable(
                type(error).__name__, never_arrived=never_arrived
            ) from None  # the text of the error may hold the address
        if not isinstance(answer, dict):
            raise Unreachable(f"HTTP {response.status}")
        return answer


def _read(response: BaseHTTPResponse) -> Any:
    """Raises `ValueError` for what is neither JSON nor a file."""
    if response.status != HTTPStatus.OK:
        return None
    if "content-disposition" in response.headers:
        return {CONTENT: response.data}
    return response.json()


def _connections(url: str, count: int) -> PoolManager:
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise Misconfigured(f"{url} is no address of a server.") from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise Misconfigured(f"{url} is no address of a server: it begins with https://.")
    options: dict[str, Any] = {"maxsize": count}
    if parts.scheme == "https":
        options["ssl_context"] = _tls()
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.host):
        return PoolManager(**options)
    return ProxyManager(proxy, proxy_headers=_proxy_headers(proxy), **options)


def _tls() -> ssl.SSLContext:
    """One for all connections: each would hold all the certificate authorities."""
    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())


def _proxy_headers(proxy: str) -> dict[str, str] | None:
    parts = urlsplit(proxy)
    if not parts.username:
        return None
    return dict(make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}"))
