"""Asks an ASGI application in this process, with one change of threads for a request.

Starlette's own client changes threads for each part of an answer, which takes as long as the page itself.
"""

from typing import Any, ClassVar

from anyio.from_thread import BlockingPortal
from httpx2 import ASGITransport, BaseTransport, Client, Request, Response

_ADDRESS = ("testclient", 50000)
"""As Starlette's has it: no address that anything else here has."""


class InProcess(BaseTransport):
    """`portal` leads to the one event loop for all requests, as in a server."""

    portal: ClassVar[BlockingPortal]

    def __init__(self, app: Any) -> None:
        self._app = ASGITransport(app, raise_app_exceptions=False, client=_ADDRESS)

    def handle_request(self, request: Request) -> Response:
        return self.portal.call(self._ask, request)

    async def _ask(self, request: Request) -> Response:
        answer = await self._app.handle_async_request(request)
        return Response(answer.status_code, headers=answer.headers, content=await answer.aread())


def client(app: Any, base_url: str) -> Client:
    """Keeps cookies, as a browser does."""
    return Client(transport=InProcess(app), base_url=base_url)
