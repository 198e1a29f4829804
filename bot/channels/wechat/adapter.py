"""The WeChat adapter's composition root: events in, texts out."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from bot.channels.runtime import Adapter, AdapterContext, Runtime
from bot.channels.wechat import CHANNEL, media
from bot.channels.wechat.connection import Connection
from bot.channels.wechat.contacts import Contacts
from bot.channels.wechat.intake import Intake
from bot.channels.wechat.manifest import MANIFEST
from bot.channels.wechat.pace import Pace
from bot.channels.wechat.puppet import Event, Happening, Puppet, PuppetTrouble
from bot.channels.wechat.sender import WechatSender
from bot.channels.wechat.settings import WechatSettings
from bot.outgoing.queue_position import words_for
from bot.outgoing.splitting import split
from bot.services import BotServices
from bot.token_refusals import Refusals
from dialogue.core import feedback
from dialogue.core import queue_position as waiting
from dialogue.errors import DatabaseUnavailable, Misconfigured
from dialogue.messages import Address
from dialogue.storage.clock import utc_now

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_WAITING_LOOK_SECONDS = 2.0
_REFUSAL_SECONDS = 300.0
_ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:]+\]|[\w.-]+):\d{1,5}")
_TOKEN = re.compile(r"[\x21-\x7e]+")


def open_adapter(services: BotServices, settings: WechatSettings, home: Path) -> Runtime:
    """Raises `Misconfigured`."""
    return Runtime(MANIFEST, services, home, lambda context: WechatAdapter(context, settings))


class WechatAdapter(Adapter):
    """One WeChat account."""

    def __init__(self, context: AdapterContext, settings: WechatSettings) -> None:
        self._services = context.services
        self._health = context.health
        self._stopping = context.stopping
        self._waiting_seconds = settings.wechat_waiting_notice_seconds
        self._on_ready: Callable[[], None] = _nothing
        self._connection = Connection(
            partial(Puppet, *_place(settings)),
            self._on_event,
            on_alive=self._alive,
            refusals=Refusals(patience_seconds=_REFUSAL_SECONDS, was_accepted=context.health.has_heard_before()),
            on_refused=self._refused,
        )
        contacts = Contacts(self._connection)
        self._intake = Intake(
            inbox=context.services.inbox,
            connection=self._connection,
            contacts=contacts,
            last_reply=self._last_reply,
            are_rooms_served=settings.wechat_rooms,
            accepts_friends=settings.wechat_accepts_friends,
            on_held=self._held,
        )
        self._pace = Pace(
            messages_per_minute=settings.wechat_messages_per_minute,
            part_pause_seconds=settings.wechat_part_pause_seconds,
        )
        sender = WechatSender(connection=self._connection, contacts=contacts, pace=self._pace, begin=context.begin)
        super().__init__(sender, fetch=self._fetch, split=partial(split, limit=settings.wechat_part_length))

    async def listen(self, on_ready: Callable[[], None]) -> None:
        """`on_ready` is called on the first connection, which is kept until the last text is marked."""
        self._on_ready = on_ready
        await self._stopping.wait()

    def beside(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Raises `TokenRefused`."""
        return self._connection.run(), self._intake.run(), self._tell_who_waits()

    async def wait_until_able(self) -> None:
        await self._connection.wait_until_logged_in()

    async def wait_until_unable(self) -> None:
        await self._connection.wait_until_logged_out()

    def hurry(self) -> None:
        self._pace.close()

    async def _fetch(self, reference: str, max_bytes: int) -> bytes:
        """The content of a message; raises `MediumUnavailable`, and what a broken line raises."""
        try:
            filebox = await self._connection.puppet.file(reference)
        except PuppetTrouble as trouble:
            raise media.meaning(trouble) from None
        return await self._services.executors.media.run(partial(media.read, filebox, max_bytes))

    async def _tell_who_waits(self) -> None:
        """Only if it can be sent at once: later it would be wrong."""
        while self._waiting_seconds:
            await asyncio.sleep(_WAITING_LOOK_SECONDS)
            if not self._connection.is_logged_in:
                continue
            try:
                await self._services.executors.display.run(self._owe_places)
            except DatabaseUnavailable as error:
                log.warning("queue_positions_not_read", error=str(error))
            except Exception as error:  # noqa: BLE001 - the outermost loop: people are answered without it
                log.error("queue_positions_failed", error=type(error).__name__)  # noqa: TRY400 - a traceback may hold words
        await self._stopping.wait()

    def _owe_places(self) -> int:
        now, patience = utc_now(), timedelta(seconds=self._waiting_seconds)
        with self._services.database.begin() as session:
            say = partial(words_for, self._services.texts)
            return waiting.tell(session, self._services.keys, CHANNEL, say, since=now - patience, now=now)

    def _on_event(self, event: Event) -> None:
        match event.kind:
            case Happening.LOGIN:
                log.info("wechat_logged_in")
                self._health.heard()
            case Happening.LOGOUT:
                log.warning("wechat_logged_out", hint="log in on the puppet service; replies wait until then")
            case Happening.SCAN:
                log.warning("wechat_needs_a_scan", hint="scan the QR code that the puppet service shows")
        self._intake.offer(event)

    def _held(self, message_id: str, reason: str | None) -> None:
        if reason is None:
            self._health.lets_go(message_id)
        else:
            self._health.holds_back(message_id, reason)

    def _refused(self, is_refused: bool) -> None:  # noqa: FBT001 - a state that is told, no option
        if is_refused:
            self._health.warns("token", "the puppet service refuses MINDGLM_WECHAT_TOKEN; it is asked again")
        else:
            self._health.settles("token")

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
