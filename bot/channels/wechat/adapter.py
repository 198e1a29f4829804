"""The WeChat adapter, put together once: events in, texts out."""

import asyncio
import contextlib
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Literal
from uuid import UUID

import structlog

from bot.channels.wechat import CHANNEL
from bot.channels.wechat.connection import Connection
from bot.channels.wechat.contacts import Contacts
from bot.channels.wechat.intake import Intake
from bot.channels.wechat.pace import Pace
from bot.channels.wechat.puppet import Event, Happening, Puppet
from bot.channels.wechat.sender import WechatSender
from bot.channels.wechat.settings import WechatSettings
from bot.health import Health
from bot.outgoing import journal
from bot.outgoing.courier import Courier
from bot.outgoing.late_texts import LateTextSender
from bot.outgoing.listener import Listener
from bot.outgoing.queue_position import words_for
from bot.outgoing.splitting import split
from bot.services import BotServices
from dialogue.core import feedback
from dialogue.core import queue_position as waiting
from dialogue.errors import DatabaseUnavailable, Misconfigured
from dialogue.messages import Address
from dialogue.storage.clock import utc_now
from dialogue.tables import Figure

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_WAITING_LOOK_SECONDS = 2.0
_ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:]+\]|[\w.-]+):\d{1,5}")
_TOKEN = re.compile(r"[\x21-\x7e]+")


def open_adapter(services: BotServices, settings: WechatSettings, home: Path) -> "Adapter":
    return Adapter(services, settings, home=home)


class Adapter:
    """One WeChat account. `run` returns when stopped, and never otherwise without an error."""

    def __init__(self, services: BotServices, settings: WechatSettings, *, home: Path) -> None:
        self._services = services
        self._home = home
        self._on_ready: Callable[[], None] = _nothing
        self._connection = Connection(partial(Puppet, *_place(settings)), self._on_event, on_alive=self._alive)
        self._health = Health(
            home=home,
            channel=CHANNEL,
            database=services.database,
            ask_pending=_unknown,
            instruments=services.instruments,
            executor=services.executors.display,
        )
        contacts = Contacts(self._connection)
        self._intake = Intake(
            inbox=services.inbox,
            connection=self._connection,
            contacts=contacts,
            last_reply=self._last_reply,
            are_rooms_served=settings.wechat_rooms,
            accepts_friends=settings.wechat_accepts_friends,
        )
        self._pace = Pace(
            messages_per_minute=settings.wechat_messages_per_minute,
            part_pause_seconds=settings.wechat_part_pause_seconds,
        )
        self._journal = journal.open_journal(home)
        self._sender = WechatSender(
            connection=self._connection, contacts=contacts, pace=self._pace, begin=self._journal.begin
        )
        self._waiting_seconds = settings.wechat_waiting_notice_seconds
        self._part_length = settings.wechat_part_length
        self._courier = self._new_courier()
        self._listener = Listener(services.broker_url, CHANNEL, on_owed=self._courier.wake)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish what is being taken in and sent, then end."""
        self._stopping.set()

    def figures(self) -> dict[str, Figure]:
        """How this adapter is doing."""
        return self._health.figures()

    def trouble(self) -> str | None:
        """Why nobody is heard, if nobody is."""
        return self._health.deafness()

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Until stopped; `on_ready` is called when the line first stands. Raises `TokenRefused`."""
        self._on_ready = on_ready
        await self._services.executors.delivery.run(
            partial(journal.take_over_from_the_dead, self._home, self._services.database)
        )
        delivering = asyncio.create_task(self._deliver())
        beside = [
            asyncio.create_task(work)
            for work in (
                self._connection.run(),
                self._intake.run(),
                self._listener.run(),
                self._health.run(),
                self._tell_who_waits(),
            )
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            with self._courier.woken_by(self._services.signals):
                done, _ = await asyncio.wait({stopping, delivering, *beside}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._stopping.set()
            self._pace.close()
            await asyncio.wait({delivering})
            stopping.cancel()
            await self._cancel(*beside)
            self._journal.close(is_settled=self._courier.is_settled)

    async def _deliver(self) -> None:
        """Only while the account can speak: without it nothing is claimed, and another adapter may."""
        stopping = asyncio.create_task(self._stopping.wait())
        while not self._stopping.is_set():
            await _first(stopping, asyncio.create_task(self._connection.wait_until_logged_in()))
            if self._stopping.is_set():
                return
            delivering = asyncio.create_task(self._courier.run())
            await _first(stopping, asyncio.create_task(self._connection.wait_until_logged_out()))
            self._courier.stop()
            await delivering

    async def _tell_who_waits(self) -> None:
        """Only while it can be said at once: later it would be wrong."""
        while self._waiting_seconds:
            await asyncio.sleep(_WAITING_LOOK_SECONDS)
            if not self._connection.is_logged_in:
                continue
            try:
                if await self._services.executors.display.run(self._owe_places):
                    self._courier.wake()
            except DatabaseUnavailable as error:
                log.warning("waiting_unknown", error=str(error))
        await self._stopping.wait()

    def _owe_places(self) -> int:
        now, patience = utc_now(), timedelta(seconds=self._waiting_seconds)
        with self._services.database.begin() as session:
            say = partial(words_for, self._services.texts)
            return waiting.tell(session, self._services.keys, CHANNEL, say, since=now - patience, now=now)

    def _new_courier(self) -> Courier:
        cut = partial(split, limit=self._part_length)
        return Courier(
            database=self._services.database,
            keys=self._services.keys,
            sender=LateTextSender(
                self._sender, self._services.pen, split=cut, executor=self._services.executors.exports
            ),
            split=cut,
            owner=self._journal.owner,
            meters=self._services.meters,
            executor=self._services.executors.delivery,
        )

    def _on_event(self, event: Event) -> None:
        match event.kind:
            case Happening.LOGIN:
                log.info("wechat_logged_in")
                self._health.heard()
            case Happening.LOGOUT:
                log.warning("wechat_logged_out", hint="log in on the puppet service; what is owed waits")
            case Happening.SCAN:
                log.warning("wechat_needs_a_scan", hint="scan the QR code that the puppet service shows")
        self._intake.offer(event)

    def _alive(self) -> None:
        if self._connection.is_logged_in:
            self._health.heard()
        on_ready, self._on_ready = self._on_ready, _nothing
        on_ready()

    async def _last_reply(self, address: Address) -> UUID | None:
        def ask() -> UUID | None:
            with self._services.database.read() as session:
                return feedback.latest_reply(session, address)

        return await self._services.executors.display.run(ask)

    @staticmethod
    async def _cancel(*tasks: asyncio.Task[None]) -> None:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def _first(stopping: "asyncio.Task[Literal[True]]", other: asyncio.Task[None]) -> None:
    """Until one of them comes; the other is not waited for any more."""
    await asyncio.wait({stopping, other}, return_when=asyncio.FIRST_COMPLETED)
    other.cancel()


def _place(settings: WechatSettings) -> tuple[str, str]:
    """Endpoint and token; raises `Misconfigured`."""
    endpoint = settings.wechat_endpoint or ""
    token = settings.wechat_token.get_secret_value() if settings.wechat_token else ""
    if not _ENDPOINT.fullmatch(endpoint):
        raise Misconfigured("MINDGLM_WECHAT_ENDPOINT must be host:port of a Wechaty puppet service.")
    if not _TOKEN.fullmatch(token):
        raise Misconfigured("MINDGLM_WECHAT_TOKEN must be the puppet service's token, without spaces.")
    return endpoint, token


def _nothing() -> None:
    pass


async def _unknown() -> int | None:
    """No puppet service tells how many messages it still holds."""
    return None
