"""The web end of a callback: what is not signed costs a hash and is counted; nothing is kept of it or logged."""

from collections.abc import Callable, Mapping
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.routing import URLSpec
from tornado.web import Application, RequestHandler

from bot.channels.tencent.encryption import CallbackCipher, NotForUs
from dialogue.errors import Misconfigured
from dialogue.telemetry.instruments import Instruments

_MAX_BODY_BYTES = 64 << 10
_MAX_HEAD_BYTES = 8 << 10
_BODY_SECONDS = 5.0
_IDLE_SECONDS = 60.0
_FORBIDDEN = 403

Count = Callable[[str], None]
"""Counts a request by its outcome: taken, refused, unavailable."""


class CallbackServer:
    """Listens until closed; serves `handler` under `path`, and `/healthz`."""

    def __init__(
        self, path: str, handler: type[RequestHandler], shared: Mapping[str, Any], *, instruments: Instruments
    ) -> None:
        """`shared` is what each request's handler is initialised with, besides `count`."""
        answers = instruments.counter(
            "mindglm_callbacks", "Requests at a callback by outcome: taken, refused, unavailable.", ["outcome"]
        )

        def count(outcome: str) -> None:
            answers.add(outcome=outcome)

        routes = [
            URLSpec(r"/healthz", _Alive),
            URLSpec(rf"{path}/?", handler, {**shared, "count": count}),
            URLSpec(r".*", _Nowhere),
        ]
        self._server = HTTPServer(
            Application(list[Any](routes), log_function=_log_nothing),
            max_body_size=_MAX_BODY_BYTES,
            max_buffer_size=_MAX_BODY_BYTES + _MAX_HEAD_BYTES,
            max_header_size=_MAX_HEAD_BYTES,
            body_timeout=_BODY_SECONDS,
            idle_connection_timeout=_IDLE_SECONDS,
        )

    def listen(self, listen: str, *, variable: str) -> int:
        """`listen` is host:port; returns the port, which the system chooses for 0.

        Raises `Misconfigured`, which names the `variable` that said so.
        """
        host, _, port = listen.rpartition(":")
        try:
            sockets = bind_sockets(int(port), host.strip("[]") or None)
        except (ValueError, OSError) as error:
            raise Misconfigured(f"Nobody can listen at {variable}: {error}") from None
        self._server.add_sockets(sockets)
        return int(sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Requests in progress are answered first."""
        self._server.stop()
        await self._server.close_all_connections()


class SignedRequests(RequestHandler):
    """Opens what is signed with our token and encrypted with our key."""

    def initialize(self, cipher: CallbackCipher, count: Count, on_misread: Callable[[], None]) -> None:
        """`on_misread` is called for what bears our signature and cannot be decrypted."""
        self.cipher = cipher
        self.count = count
        self.on_misread = on_misread

    def opened(self, encrypted: bytes) -> bytes:
        """Raises `NotForUs`."""
        is_ours = self.cipher.is_signed(
            self.query("msg_signature"),
            timestamp=self.query("timestamp"),
            nonce=self.query("nonce"),
            encrypted=encrypted,
        )
        if not is_ours:
            raise NotForUs
        try:
            return self.cipher.decrypt(encrypted)
        except NotForUs:
            self.on_misread()
            raise

    def query(self, name: str) -> bytes:
        """Of several with one name the last."""
        return (self.request.query_arguments.get(name) or [b""])[-1]

    def answer(self, content: bytes, *, content_type: str = "text/plain") -> None:
        self.count("taken")
        self.set_header("Content-Type", f"{content_type}; charset=utf-8")
        self.write(content)

    def refuse(self) -> None:
        self.count("refused")
        self.set_status(_FORBIDDEN)


class _Alive(RequestHandler):
    def get(self) -> None:
        self.write("ok\n")


class _Nowhere(RequestHandler):
    def prepare(self) -> None:
        self.set_status(404)
        self.finish()


def _log_nothing(_handler: Any) -> None:
    """Access logs would hold addresses and say nothing new."""
