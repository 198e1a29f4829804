"""The Telegram adapter's composition root: updates in, texts out, progress in between."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from telegram.error import BadRequest, InvalidToken, TelegramError

from bot.channels.runtime import Adapter, AdapterContext, Runtime
from bot.channels.telegram.bot_api import accepted, connect, proxy_of, refused, wait_seconds, webhook_secret
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.downloads import Downloads
from bot.channels.telegram.flood_limits import Limiter, Pace
from bot.channels.telegram.http_pool import HttpPool, tls_context
from bot.channels.telegram.intake import Intake
from bot.channels.telegram.manifest import MANIFEST
from bot.channels.telegram.menu import Menus
from bot.channels.telegram.polling import Poller
from bot.channels.telegram.presses import Presses
from bot.channels.telegram.progress import Progress
from bot.channels.telegram.records import Records
from bot.channels.telegram.sender import TelegramSender
from bot.channels.telegram.settings import TelegramSettings
from bot.channels.telegram.shared_slots import SharedSlots
from bot.channels.telegram.stale_placeholders import StalePlaceholders
from bot.channels.telegram.updates import ALLOWED, Account
from bot.health import Listening
from bot.outgoing.queue_position import QueuePositions
from bot.services import BotServices
from bot.token_refusals import Refusals
from care.languages import locale_of, localized, spoken
from care.texts import Texts

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MAX_AT_ONCE = 64
_WEBHOOK_CONNECTIONS = 100
"""Telegram's maximum: a slow message holds a connection until it is stored, and dangerous words need another."""
_MAX_DOWNLOADS = 4
_GROUP_PER_SECOND = 20 / 60
"""Telegram's limit for one group."""


def open_adapter(services: BotServices, settings: TelegramSettings, home: Path) -> Runtime:
    """Raises `Misconfigured`."""
    return Runtime(MANIFEST, services, home, lambda context: TelegramAdapter(context, settings))


class TelegramAdapter(Adapter):
    """One bot account."""

    def __init__(self, context: AdapterContext, settings: TelegramSettings) -> None:
        services = context.services
        self._services = services
        self._settings = settings
        self._health = context.health
        self._stopping = context.stopping
        self._refusals = Refusals(
            patience_seconds=settings.telegram_refusal_seconds, was_accepted=context.health.has_heard_before()
        )
        self._api = connect(settings)
        self._webhook_secret = webhook_secret(settings)
        self._records = Records(services.database, services.keys, executors=services.executors)
        self._slots = SharedSlots.connect(services.broker_url, str(self._api.token).partition(":")[0])
        self._limiter = Limiter(self._slots)
        queue = QueuePositions(
            services.database,
            services.texts,
            patience_seconds=settings.waiting_notice_seconds,
            executor=services.executors.display,
        )
        self._stale = StalePlaceholders(self._api, self._records)
        self._live = Progress(
            bot=self._api,
            limiter=self._limiter,
            paces=self._pace,
            turns=self._records,
            stale=self._stale,
            queue=queue,
            on_moved=self._records.move,
        )
        self._presses = Presses(
            self._api,
            texts_in=partial(_texts_in, settings.locale),
            latest_notice=self._records.latest_notice,
        )
        self._menus = Menus(self._api, default_locale=settings.locale)
        self._telegram_sender = self._new_sender(context.begin)
        self._downloads = self._new_downloads()
        super().__init__(
            self._telegram_sender,
            send_files=self._telegram_sender.send_files,
            fetch=self._downloads.fetch,
            on_partial=self._live.grow,
            on_cancelled=self._on_cancelled,
            max_at_once=_MAX_AT_ONCE,
            listening=Listening.POLLS if settings.telegram_webhook_url is None else Listening.PUSHED,
        )

    async def greet(self) -> bool:
        if not await self._insist(self._api.initialize):
            return False
        log.info("telegram_connected", account=self._api.bot.id, username=self._api.bot.username)
        return True

    async def resume(self) -> None:
        for turn_id, place in await self._records.waiting():
            self._live.begin(turn_id, place)

    async def listen(self, on_ready: Callable[[], None]) -> None:
        """Raises `TokenRefused`, `Misconfigured`, `Deaf`."""
        await self._receive(self._intake(), on_ready)

    def beside(self) -> Iterable[Coroutine[Any, Any, None]]:
        return self._offer_menu(), self._stale.take_down_all()

    async def pending_updates(self) -> int | None:
        try:
            return (await self._api.get_webhook_info()).pending_update_count
        except TelegramError:
            return None

    def hurry(self) -> None:
        self._telegram_sender.close()

    async def close(self) -> None:
        await self._live.close()
        await self._presses.close()
        await self._menus.close()
        await self._slots.close()
        await self._downloads.close()
        with contextlib.suppress(TelegramError):
            await self._api.shutdown()

    async def _receive(self, intake: Intake, on_ready: Callable[[], None]) -> None:
        if self._settings.telegram_webhook_url is None:
            if await self._insist(self._api.delete_webhook):  # Telegram polls no bot that has one
                on_ready()
                await Poller(self._api, intake, self._health, self._stopping, self._refusals).run()
            return
        from bot.channels.telegram.webhook import Webhook  # a web server costs memory that polling does not need

        webhook = Webhook(intake, self._health, secret=self._webhook_secret)
        webhook.listen(self._settings.telegram_webhook_listen)
        set_webhook = partial(
            self._api.set_webhook,
            self._settings.telegram_webhook_url,
            allowed_updates=ALLOWED,
            secret_token=self._webhook_secret,
            max_connections=_WEBHOOK_CONNECTIONS,
        )
        try:
            if await self._insist(set_webhook):
                on_ready()
                await self._stopping.wait()
        finally:
            await webhook.close()

    def _intake(self) -> Intake:
        me = self._api.bot
        return Intake(
            inbox=self._services.inbox,
            account=Account(id=me.id, username=me.username or ""),
            are_groups_served=self._settings.telegram_groups,
            shown=self._live,
            buttons=self._presses,
            menus=self._menus,
            on_moved=self._records.move,
        )

    async def _insist(self, call: Callable[[], Awaitable[object]]) -> bool:
        """Until Telegram did it; False when stopped first. Raises `TokenRefused`."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                await call()
            except InvalidToken as error:
                attempt += 1
                refused(self._refusals, self._health)
                await self._pause(wait_seconds(error, attempt))
            except BadRequest as error:  # of what we set: a name that cannot be resolved now may be later
                attempt += 1
                log.error("telegram_refuses", reason=error.message)  # noqa: TRY400 - the reason says it all
                await self._pause(wait_seconds(error, attempt))
            except TelegramError as error:
                attempt += 1
                seconds = wait_seconds(error, attempt)
                log.warning("telegram_unreachable", error=type(error).__name__, seconds=seconds)
                await self._pause(seconds)
            else:
                accepted(self._refusals, self._health)
                return True
        return False

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _offer_menu(self) -> None:
        try:
            await self._menus.offer()
        except TelegramError as error:
            log.warning("menu_not_offered", error=type(error).__name__)

    def _new_sender(self, begin: Callable[[UUID], None]) -> TelegramSender:
        return TelegramSender(
            bot=self._api,
            limiter=self._limiter,
            paces=self._pace,
            shown=self._live,
            begin=begin,
            reply_to=self._records.reply_to,
            on_gone=self._on_gone,
            on_moved=self._records.move,
            language_of=self._records.language_of,
            texts_in=partial(spoken, self._services.texts),
            has_ratings=self._settings.telegram_feedback,
            texts=self._services.texts,
            link=self._services.office.link,
        )

    def _new_downloads(self) -> Downloads:
        def open_pool() -> HttpPool:
            proxy = proxy_of(self._settings)
            return HttpPool(_MAX_DOWNLOADS, proxy.url if proxy is not None else None, tls_context())

        return Downloads(
            self._api,
            api_url=self._settings.telegram_api_url,
            open_pool=open_pool,
            reading=self._services.executors.media,
        )

    def _on_cancelled(self, turn_id: UUID) -> None:
        self._live.drop([turn_id])

    def _pace(self, place: TelegramChat) -> Pace:
        per_second = self._settings.telegram_chat_messages_per_second if place.is_private else _GROUP_PER_SECOND
        return Pace(account_per_second=self._settings.telegram_messages_per_second, chat_per_second=per_second)

    async def _on_gone(self, place: TelegramChat) -> None:
        await self._services.inbox.leave(place.address())


@cache
def _texts_in(default_locale: str, language: str | None) -> Texts:
    """The channel's words in a person's language."""
    return localized(MANIFEST.words(locale_of(language, default_locale)).texts, language)
