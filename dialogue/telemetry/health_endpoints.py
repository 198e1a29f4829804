"""Three endpoints: /metrics, /healthz (the process is alive) and /readyz (it can do its work).

They answer from cached results, never wait, and contain neither ids nor people's words.
"""

import json
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NamedTuple

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_REQUEST_SECONDS: Final = 5.0
_JSON: Final = "application/json"


class HealthPage(NamedTuple):
    """An HTTP response."""

    status: HTTPStatus
    content_type: str
    body: bytes


Readiness = Callable[[], dict[str, str | None]]
"""By name of the check: None if it passed, else what is wrong."""


class Probes:
    """A small HTTP server in threads of its own. The constructor raises `OSError` if the port is in use."""

    def __init__(
        self, host: str, port: int, *, readiness: Readiness, exposition: Callable[[str], tuple[bytes, str]]
    ) -> None:
        self._readiness = readiness
        self._exposition = exposition
        self._server = (_Server6 if ":" in host else _HealthServer)((host, port), _handler(self._page))
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _page(self, path: str, accept: str) -> HealthPage:
        match path.partition("?")[0]:
            case "/healthz":
                return HealthPage(HTTPStatus.OK, _JSON, b'{"alive": true}\n')
            case "/readyz":
                return self._readyz()
            case "/metrics":
                body, content_type = self._exposition(accept)
                return HealthPage(HTTPStatus.OK, content_type, body)
        return HealthPage(HTTPStatus.NOT_FOUND, _JSON, b'{"pages": ["/healthz", "/readyz", "/metrics"]}\n')

    def _readyz(self) -> HealthPage:
        checks = self._readiness()
        is_ready = not any(checks.values())
        body = json.dumps({"ready": is_ready, "checks": {name: trouble or "ok" for name, trouble in checks.items()}})
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return HealthPage(status, _JSON, f"{body}\n".encode())


class _HealthServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the library's signature
        """The client hung up or sent a malformed request; the library would print a traceback."""
        log.debug("probe_failed")


class _Server6(_HealthServer):
    address_family = socket.AF_INET6


def _handler(page: Callable[[str, str], HealthPage]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_SECONDS

        def do_GET(self) -> None:
            self._answer(has_body=True)

        def do_HEAD(self) -> None:
            self._answer(has_body=False)

        def _answer(self, *, has_body: bool) -> None:
            answer = page(self.path, self.headers.get("Accept", ""))
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if has_body:
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's signature
            """No access log: health checks come every few seconds."""

    return Handler
