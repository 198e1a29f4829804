"""A server of chat completions in the test's own process: a rule says what it answers."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.services.http_server import running
from training.evaluation.chat_server import Address

Rule = Callable[[list[dict[str, str]]], str | int]
"""The messages to what the model says, or to the status with which the server refuses."""


class RuledServer(ThreadingHTTPServer):
    """Counts what it was asked."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.asked: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: RuledServer

    def log_message(self, *_args: object) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append({**asked, "path": self.path, "key": self.headers["Authorization"]})
        said = self.server.rule(asked["messages"])
        self.send_response(said if isinstance(said, int) else 200)
        body = b"" if isinstance(said, int) else json.dumps({"choices": [{"message": {"content": said}}]}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(rule: Rule) -> Iterator[tuple[RuledServer, Address]]:
    """A server, and its address."""
    server = RuledServer(rule)
    with running(server) as root:
        yield server, Address(f"{root}/v1", "judge-1", "secret")
