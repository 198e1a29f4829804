"""The callback: WeCom posts that something came; that is committed, and answered within a second.

Nothing is pulled inside the request. A request that is not signed costs a hash and is counted; nothing is kept of it or
logged. WeCom repeats a notice twice if it is not answered with 200.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.routing import URLSpec
from tornado.web import Application, RequestHandler

from bot.channels.wecom.encryption import CallbackCipher, NotForUs
from bot.channels.wecom.notices import Notice, fields, read
from dialogue.errors import EnvironmentFault, Misconfigured
from dialogue.telemetry.instruments import UNMEASURED, Instruments

log: structlog.stdlib.BoundLogger = structlog.get_logger()

PATH: Final = "/wecom"
_MAX_BODY_BYTES = 64 << 10
"""A notice has half a thousand."""
_MAX_HEAD_BYTES = 8 << 10
_BODY_SECONDS = 5.0
_IDLE_SECONDS = 60.0
_ANSWER_SECONDS = 0.8
_FORBIDDEN, _UNAVAILABLE = 403, 503

Take = Callable[[Notice], Awaitable[None]]
"""Commits a notice; raises `EnvironmentFault`."""


class Callback:
    """Listens until closed; also serves `/healthz`."""

    def __init__(
        self,
        cipher: CallbackCipher,
        take: Take,
        *,
        on_misread: Callable[[], None] = lambda: None,
        instruments: Instruments = UNMEASURED,
    ) -> None:
        """`on_misread` is called for what bears our signature and cannot be decrypted."""
        self._answers = instruments.counter(
            "mindglm_callbacks", "Requests at WeCom's callback by outcome: taken, refused, unavailable.", ["outcome"]
        )
        shared = {"cipher": cipher, "take": take, "count": self._count, "on_misread": on_misread}
        routes = [URLSpec(r"/healthz", _Alive), URLSpec(rf"{PATH}/?", _Notices, shared), URLSpec(r".*", _Nowhere)]
        self._server = HTTPServer(
            Application(list[Any](routes), log_function=_log_nothing),
            max_body_size=_MAX_BODY_BYTES,
            max_buffer_size=_MAX_BODY_BYTES + _MAX_HEAD_BYTES,
            max_header_size=_MAX_HEAD_BYTES,
            body_timeout=_BODY_SECONDS,
            idle_connection_timeout=_IDLE_SECONDS,
        )

    def listen(self, listen: str) -> int:
        """`listen` is host:port; returns the port, which the system chooses for 0. Raises `Misconfigured`."""
        host, _, port = listen.rpartition(":")
        try:
            sockets = bind_sockets(int(port), host.strip("[]") or None)
        except (ValueError, OSError) as error:
            raise Misconfigured(f"MINDGLM_WECOM_LISTEN cannot be used: {error}") from None
        self._server.add_sockets(sockets)
        return int(sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Requests in progress are answered first."""
        self._server.stop()
        await self._server.close_all_connections()

    def _count(self, outcome: str) -> None:
        self._answers.add(outcome=outcome)


class _Notices(RequestHandler):
    def initialize(
        self, cipher: CallbackCipher, take: Take, count: Callable[[str], None], on_misread: Callable[[], None]
    ) -> None:
        self._cipher = cipher
        self._take = take
        self._count = count
        self._on_misread = on_misread

    def get(self) -> None:
        """WeCom's console checks the URL: the decrypted `echostr` is to come back, and nothing else."""
        try:
            plain = self._open(self._query("echostr"))
        except NotForUs:
            self._refuse()
            return
        self._count("taken")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(plain)

    async def post(self) -> None:
        try:
            notice = read(self._open(fields(self.request.body).get("Encrypt", "").encode()))
        except NotForUs:
            self._refuse()
            return
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._take(notice)
        except (EnvironmentFault, TimeoutError) as error:
            log.warning("wecom_notice_not_stored", error=type(error).__name__)
            self._count("unavailable")
            self.set_status(_UNAVAILABLE)
            return
        self._count("taken")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(b"success")

    def _open(self, encrypted: bytes) -> bytes:
        """Raises `NotForUs`."""
        is_ours = self._cipher.is_signed(
            self._query("msg_signature"),
            timestamp=self._query("timestamp"),
            nonce=self._query("nonce"),
            encrypted=encrypted,
        )
        if not is_ours:
            raise NotForUs
        try:
            return self._cipher.decrypt(encrypted)
        except NotForUs:
            self._on_misread()
            raise

    def _query(self, name: str) -> bytes:
        return (self.request.query_arguments.get(name) or [b""])[-1]

    def _refuse(self) -> None:
        self._count("refused")
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
