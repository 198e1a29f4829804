"""Keeps the connection to the puppet service: connects, reads events, reconnects when the connection breaks.

Only a rejected token ends it. A puppet service that hangs while its connection stays open is detected by dings: each
must be answered, as a call and, if the service ever sends them, as an event.
"""

import asyncio
import random
import time
from collections.abc import Callable

import structlog

from bot.channels.wechat.puppet import Event, Happening, LineBroken, Puppet, PuppetTrouble, StreamTaken, TokenRefused
from bot.token_refusals import Refusals
from dialogue.process.ending import end_tasks

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_FIRST_BACK_OFF_SECONDS = 0.5
_MAX_BACK_OFF_SECONDS = 1.0  # somebody in danger may be writing
_MAX_BACK_OFF_WHEN_TAKEN_SECONDS = 60.0
_MAX_BACK_OFF_WHEN_REFUSED_SECONDS = 10.0
_STABLE_SECONDS = 30.0
_QUIET_START_SECONDS = 3.0
_PROBE = "mindglm"

OnEvent = Callable[[Event], None]
"""Called with each event, in order."""


class Connection:
    """One account's connection; `run` maintains it."""

    def __init__(
        self,
        connect: Callable[[], Puppet],
        on_event: OnEvent,
        *,
        on_alive: Callable[[], None],
        probe_seconds: float = 20.0,
        refusals: Refusals | None = None,
        on_refused: Callable[[bool], None] = lambda _is_refused: None,
    ) -> None:
        """`on_refused` is told whether the token is refused at present."""
        self._refusals = refusals or Refusals(patience_seconds=0)
        self._on_refused = on_refused
        self._connect = connect
        self._on_event = on_event
        self._on_alive = on_alive
        self._probe_seconds = probe_seconds
        self._puppet: Puppet | None = None
        self._is_up = asyncio.Event()
        self._heard_dong_at: float | None = None
        self._logged_in = asyncio.Event()
        self._logged_out = asyncio.Event()

    @property
    def is_logged_in(self) -> bool:
        """Whether the account can speak, as far as the puppet service has told."""
        return self._logged_in.is_set()

    @property
    def puppet(self) -> Puppet:
        """The connection as it is; raises `LineBroken` when there is none."""
        if self._puppet is None:
            raise LineBroken("not connected", never_left=True)
        return self._puppet

    async def wait_until_up(self) -> Puppet:
        """The connection, as soon as there is one."""
        while self._puppet is None:
            await self._is_up.wait()
        return self._puppet

    async def wait_until_logged_in(self) -> None:
        """Until the account can speak."""
        await self._logged_in.wait()

    async def wait_until_logged_out(self) -> None:
        """Until the account cannot speak any more, or nobody knows."""
        await self._logged_out.wait()

    async def run(self) -> None:
        """Until cancelled; raises `TokenRefused`."""
        back_off_seconds = _FIRST_BACK_OFF_SECONDS
        while True:
            began_at = time.monotonic()
            longest = _MAX_BACK_OFF_SECONDS
            try:
                await self._hold()
            except StreamTaken:
                longest = _MAX_BACK_OFF_WHEN_TAKEN_SECONDS
                log.warning("wechat_stream_taken", hint="another bot reads this account; only one can")
            except TokenRefused:
                if self._refusals.refused():
                    raise
                longest = _MAX_BACK_OFF_WHEN_REFUSED_SECONDS
                self._on_refused(True)
                log.error("wechat_token_refused", is_final=False)  # noqa: TRY400 - it is expected
            except (LineBroken, PuppetTrouble) as trouble:
                log.warning("wechat_connection_lost", reason=str(trouble))
            if time.monotonic() - began_at > _STABLE_SECONDS:
                back_off_seconds = _FIRST_BACK_OFF_SECONDS
            await asyncio.sleep(back_off_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            back_off_seconds = min(back_off_seconds * 2, longest)

    async def _hold(self) -> None:
        """Connect and read until the stream ends, which is always an error."""
        puppet = self._connect()
        reading: asyncio.Task[None] | None = None
        try:
            await puppet.start()
            self._heard_dong_at = None
            reading = asyncio.create_task(self._read(puppet))
            probing = asyncio.create_task(self._probe(puppet))
            try:
                await asyncio.wait({reading, probing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _end(reading, probing)
        finally:
            self._puppet = None
            self._is_up.clear()
            self._note_logout()
            await puppet.stop()

    async def _read(self, puppet: Puppet) -> None:
        async for event in puppet.events():
            self._come_up(puppet)  # with the first event, a heartbeat, the stream is ours
            match event.kind:
                case Happening.DONG:
                    self._heard_dong_at = time.monotonic()
                case Happening.LOGIN | Happening.MESSAGE:  # not every service repeats the login to who comes later
                    self._note_login()
                case Happening.LOGOUT:
                    self._note_logout()
            self._on_event(event)

    def _note_login(self) -> None:
        self._logged_out.clear()
        self._logged_in.set()

    def _note_logout(self) -> None:
        self._logged_in.clear()
        self._logged_out.set()

    def _come_up(self, puppet: Puppet) -> None:
        if self._puppet is None:
            self._puppet = puppet
            self._is_up.set()
            self._refusals.accepted()
            self._on_refused(False)
            log.info("wechat_connection_ready", is_durable=puppet.is_durable)
            self._on_alive()

    async def _probe(self, puppet: Puppet) -> None:
        await asyncio.sleep(min(_QUIET_START_SECONDS, self._probe_seconds))
        self._come_up(puppet)  # puppet services that are not Wechaty's own may begin without a heartbeat
        while True:
            asked_at = time.monotonic()
            await puppet.call("ding", data=_PROBE)
            await asyncio.sleep(self._probe_seconds)
            if self._heard_dong_at is not None and self._heard_dong_at < asked_at:
                raise LineBroken("the stream is silent")
            self._on_alive()


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Raises what the first of them raised."""
    await end_tasks(tasks)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()
