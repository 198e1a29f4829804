"""The callback: WeCom posts that something came; that is committed, and answered within a second.

Nothing is pulled inside the request. WeCom repeats a notice twice if it is not answered with 200.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from bot.channels.tencent.callback_server import CallbackServer, Count, SignedRequests
from bot.channels.tencent.documents import fields
from bot.channels.tencent.encryption import CallbackCipher, NotForUs
from bot.channels.wecom.notices import Notice, read
from dialogue.errors import EnvironmentFault
from dialogue.telemetry.instruments import UNMEASURED, Instruments

log: structlog.stdlib.BoundLogger = structlog.get_logger()

PATH: Final = "/wecom"
_ANSWER_SECONDS = 0.8
_UNAVAILABLE = 503

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
        shared = {"cipher": cipher, "take": take, "on_misread": on_misread}
        self._server = CallbackServer(PATH, _Notices, shared, instruments=instruments)

    def listen(self, listen: str) -> int:
        """`listen` is host:port; returns the port, which the system chooses for 0. Raises `Misconfigured`."""
        return self._server.listen(listen, variable="MINDGLM_WECOM_LISTEN")

    async def close(self) -> None:
        """Requests in progress are answered first."""
        await self._server.close()


class _Notices(SignedRequests):
    def initialize(  # type: ignore[override]  # each callback's requests are given what they need
        self, cipher: CallbackCipher, take: Take, count: Count, on_misread: Callable[[], None]
    ) -> None:
        super().initialize(cipher, count, on_misread)
        self._take = take

    def get(self) -> None:
        """WeCom's console checks the URL: the decrypted `echostr` is to come back, and nothing else."""
        try:
            self.answer(self.opened(self.query("echostr")))
        except NotForUs:
            self.refuse()

    async def post(self) -> None:
        try:
            notice = read(self.opened(fields(self.request.body).get("Encrypt", "").encode()))
        except NotForUs:
            self.refuse()
            return
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._take(notice)
        except (EnvironmentFault, TimeoutError) as error:
            log.warning("wecom_notice_not_stored", error=type(error).__name__)
            self.count("unavailable")
            self.set_status(_UNAVAILABLE)
            return
        self.answer(b"success")
