"""The callback: WeChat posts each message itself, once more after five seconds without an answer, and then once more.

What is not taken by then is lost, and cannot be asked for. https://developers.weixin.qq.com/doc/service/guide/dev/push/
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from bot.channels.oa import passive_reply
from bot.channels.oa.desk import Answer, Saying, Silence
from bot.channels.tencent.callback_server import CallbackServer, Count, SignedRequests
from bot.channels.tencent.documents import fields
from bot.channels.tencent.encryption import CallbackCipher, NotForUs
from dialogue.errors import EnvironmentFault
from dialogue.telemetry.instruments import UNMEASURED, Instruments

log: structlog.stdlib.BoundLogger = structlog.get_logger()

PATH: Final = "/oa"
_MAX_AGE_SECONDS = 600.0
_UNAVAILABLE = 503
_HANGS_UP_SECONDS = 6.0


class TakesPushes(Protocol):
    """Commits what was pushed, and says what it is answered with."""

    async def take(self, fields: Mapping[str, str], hung_up: asyncio.Event) -> Answer:
        """Raises what keeps it from being stored."""


class Complains(Protocol):
    """Tells the operator what is wrong with the pushes."""

    def misread(self) -> None: ...

    def in_clear(self) -> None: ...

    def stale(self, seconds: float) -> None: ...

    def understood(self) -> None: ...


class OaCallback:
    """Listens until closed; also serves `/healthz`."""

    def __init__(
        self,
        cipher: CallbackCipher,
        desk: TakesPushes,
        *,
        trouble: Complains,
        on_heard: Callable[[], None] = lambda: None,
        instruments: Instruments = UNMEASURED,
    ) -> None:
        """`on_heard` is called for every push that can be read."""
        shared = {"cipher": cipher, "desk": desk, "trouble": trouble, "on_heard": on_heard}
        self._server = CallbackServer(PATH, _Pushes, shared, instruments=instruments)

    def listen(self, listen: str) -> int:
        """`listen` is host:port; returns the port, which the system chooses for 0. Raises `Misconfigured`."""
        return self._server.listen(listen, variable="MINDGLM_OA_LISTEN")

    async def close(self) -> None:
        """Requests in progress are ended: the platform asks again."""
        await self._server.close()


class _Pushes(SignedRequests):
    def initialize(  # type: ignore[override]  # each callback's requests are given what they need
        self,
        cipher: CallbackCipher,
        desk: TakesPushes,
        trouble: Complains,
        on_heard: Callable[[], None],
        count: Count,
    ) -> None:
        super().initialize(cipher, count, trouble.misread)
        self._desk = desk
        self._trouble = trouble
        self._on_heard = on_heard
        self._hung_up = asyncio.Event()

    def on_connection_close(self) -> None:
        self._hung_up.set()

    def get(self) -> None:
        """WeChat's console checks the URL: `echostr` is to come back as it is, in every mode."""
        if not self._is_signed_in_clear():
            self.refuse()
            return
        self.answer(self.query("echostr"))

    async def post(self) -> None:
        try:
            push = self._read()
        except NotForUs:
            self.refuse()
            return
        self._on_heard()
        try:
            answer = await self._desk.take(push, self._hung_up)
        except (EnvironmentFault, TimeoutError, OSError, MemoryError) as error:
            log.warning("oa_push_not_stored", error=type(error).__name__)
            self._come_again()
        except Exception:  # noqa: BLE001 - logged where it broke; WeChat asks again
            self._come_again()
        else:
            await self._reply(answer, push)

    def _read(self) -> Mapping[str, str]:
        """Only what is encrypted is read: a signature in clear covers no word. Raises `NotForUs`."""
        encrypted = fields(self.request.body).get("Encrypt", "").encode()
        if not encrypted:
            if self._is_signed_in_clear():
                self._trouble.in_clear()
            raise NotForUs
        push = fields(self.opened(encrypted))
        self._check_age()
        self._trouble.understood()
        return push

    def _check_age(self) -> None:
        """A request that somebody kept is not taken again."""
        try:
            age_seconds = time.time() - int(self.query("timestamp"))
        except ValueError:
            raise NotForUs from None
        if abs(age_seconds) > _MAX_AGE_SECONDS:
            self._trouble.stale(age_seconds)
            raise NotForUs

    def _is_signed_in_clear(self) -> bool:
        return self.cipher.is_signed(
            self.query("signature"), timestamp=self.query("timestamp"), nonce=self.query("nonce")
        )

    async def _reply(self, answer: Answer, push: Mapping[str, str]) -> None:
        if isinstance(answer, Saying):
            if self._hung_up.is_set():
                answer.never_left()
                return
            answer.left()  # before the bytes leave: words are said at most once
            document = passive_reply.seal(
                answer.said, self.cipher, person=push["FromUserName"], account=push.get("ToUserName", "")
            )
            self.answer(document, content_type="application/xml")
        elif isinstance(answer, Silence):
            await self._wait_until_hung_up()
        else:
            self.answer(b"success")

    async def _wait_until_hung_up(self) -> None:
        try:
            async with asyncio.timeout(_HANGS_UP_SECONDS):
                await self._hung_up.wait()
        except TimeoutError:
            self.set_status(_UNAVAILABLE)

    def _come_again(self) -> None:
        self.count("unavailable")
        self.set_status(_UNAVAILABLE)
