"""Sends each request to one of several servers: a conversation always to the same one while that is up.

The order is rendezvous hashing (Thaler and Ravishankar, 1998): when a server goes, only its own conversations move,
and they come back to the prefixes that it still has cached.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

import httpx

from worker.engine.completions import AFFINITY, connections
from worker.engine.port import EngineAway

ADDRESS = "http://vllm.invalid/v1"
"""What requests are addressed to before they are routed."""


class Upstream(Protocol):
    """One server."""

    @property
    def name(self) -> str:
        """Stays the same over its restarts."""

    @property
    def key(self) -> str:
        """What it wants as a bearer token."""

    @property
    def port(self) -> int | None:
        """Where it listens on the loopback; None while it does not answer."""


class ServerRoute(httpx.AsyncBaseTransport):
    """httpx's way to the servers. Raises `EngineAway` while none is up."""

    def __init__(self, upstreams: Sequence[Upstream], *, max_connections: int) -> None:
        self._upstreams = upstreams
        self._network = connections(max_connections)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        refused: httpx.ConnectError | None = None
        for upstream in in_order(self._upstreams, str(request.extensions.get(AFFINITY, ""))):
            port = upstream.port
            if port is None:
                continue
            request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=port)
            request.headers["Authorization"] = f"Bearer {upstream.key}"
            try:
                return await self._network.handle_async_request(request)
            except httpx.ConnectError as error:  # it has just ended; nothing of the request has left
                refused = error
        raise refused or EngineAway("no vLLM server is up")

    async def aclose(self) -> None:
        await self._network.aclose()


def in_order(upstreams: Sequence[Upstream], affinity: str) -> list[Upstream]:
    """The one that this conversation belongs to first, then those that take its place."""
    return sorted(upstreams, key=lambda one: blake2b(f"{one.name}/{affinity}".encode()).digest())
