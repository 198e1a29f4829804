"""The Telegram adapter, put together once: updates in, texts out, and what is seen in between."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import structlog
from telegram.error import InvalidToken, TelegramError

from bot.channels.telegram import CHANNEL, menu
from bot.channels.telegram.bot_api import TokenRefused, connect, wait_seconds, webhook_secret
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.flood_limits import Limiter, Pace, SharedSlots
from bot.channels.telegram.intake import Intake
from bot.channels.telegram.manifest import MANIFEST
from bot.channels.telegram.polling import Poller
from bot.channels.telegram.progress import Progress
from bot.channels.telegram.records import Records
from bot.channels.telegram.sender import TelegramSender, Thanks
from bot.channels.telegram.settings import TelegramSettings
from bot.channels.telegram.splitting import split
from bot.channels.telegram.stale_placeholders import StalePlaceholders
from bot.channels.telegram.updates import ALLOWED, Account
from bot.health import Health
from bot.outgoing import journal
from bot.outgoing.courier import Courier
from bot.outgoing.late_texts import LateTextSender
from bot.outgoing.listener import Listener
from bot.outgoing.queue_position import QueuePositions
from bot.services import BotServices
from dialogue.tables import Figure

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MAX_AT_ONCE = 64
_WEBHOOK_CONNECTIONS = 100
"""Telegram's most: a slow message holds one until it is stored, and dangerous words need another."""
_GROUP_PER_SECOND = 20 / 60
"""Telegram's limit for one group."""


def open_adapter(services: BotServices, settings: TelegramSettings, home: Path) -> "Adapter":
    return Adapter(services, settings, home=home)


class Adapter:
    """One bot account. `run` returns when stopped."""

    def __init__(self, services: BotServices, settings: TelegramSettings, *, home: Path) -> None:
        self._services = services
        self._settings = settings
        self._home = home
        self._api = connect(settings)
        self._records = Records(services.database, services.keys, executors=services.executors)
        self._slots = SharedSlots.connect(services.broker_url, str(self._api.token).partition(":")[0])
        self._limiter = Limiter(self._slots)
        queue = QueuePositions(
            services.database,
            services.texts,
            patience_seconds=settings.waiting_notice_seconds,
            executor=services.executors.display,
        )
        self._strays = StalePlaceholders(self._api, self._records)
        self._live = Progress(
            bot=self._api,
            limiter=self._limiter,
            paces=self._pace,
            turns=self._records,
            strays=self._strays,
            queue=queue,
        )
        self._thanks = Thanks(self._api, MANIFEST.words(settings.locale).texts.say("thanks"))
        self._health = Health(
            home=home,
            channel=CHANNEL,
            database=services.database,
            ask_pending=self._pending_updates,
            instruments=services.instruments,
            executor=services.executors.display,
        )
        self._journal = journal.open_journal(home)
        sender = self._sender = self._new_sender()
        self._courier = Courier(
            database=services.database,
            keys=services.keys,
            sender=LateTextSender(
                sender, services.pen, send_files=sender.send_files, executor=services.executors.exports
            ),
            split=split,
            max_at_once=_MAX_AT_ONCE,
            owner=self._journal.owner,
            meters=services.meters,
            executor=services.executors.delivery,
        )
        self._listener = Listener(services.broker_url, CHANNEL, on_owed=self._courier.wake, on_partial=self._live.grow)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Take in what was fetched, finish what is being sent, end."""
        self._stopping.set()

    def figures(self) -> dict[str, Figure]:
        """How this adapter is doing."""
        return self._health.figures()

    def trouble(self) -> str | None:
        """Why nobody is heard, if nobody is."""
        return self._health.deafness()

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Until stopped; raises `TokenRefused`, `Misconfigured`, `Deaf`."""
        delivering = beside = None
        try:
            account = await self._greet()
            if account is None:
                return
            take_over = partial(journal.take_over_from_the_dead, self._home, self._services.database)
            await self._services.executors.delivery.run(take_over)
            await self._resume_waiting()
            delivering = asyncio.create_task(self._courier.run())
            beside = asyncio.gather(
                self._listener.run(), self._health.run(), self._offer_menu(), self._strays.take_down_all()
            )
            with self._courier.woken_by(self._services.signals):
                await self._receive(self._intake(account), on_ready)
        finally:
            self._sender.close()
            self._courier.stop()
            if delivering is not None:
                await delivering
            if beside is not None:
                beside.cancel()
                await asyncio.gather(beside, return_exceptions=True)
            await self._close()

    async def _receive(self, intake: Intake, on_ready: Callable[[], None]) -> None:
        if self._settings.telegram_webhook_url is None:
            if await self._insist(self._api.delete_webhook):  # Telegram polls no bot that has one
                on_ready()
                await Poller(self._api, intake, self._health, self._stopping).run()
            return
        from bot.channels.telegram.webhook import Webhook  # a web server costs memory that polling does not need

        secret = webhook_secret(self._settings)
        webhook = Webhook(self._api, intake, self._health, secret=secret)
        webhook.listen(self._settings.telegram_webhook_listen)
        set_webhook = partial(
            self._api.set_webhook,
            self._settings.telegram_webhook_url,
            allowed_updates=ALLOWED,
            secret_token=secret,
            max_connections=_WEBHOOK_CONNECTIONS,
        )
        try:
            if await self._insist(set_webhook):
                on_ready()
                await self._stopping.wait()
        finally:
            await webhook.close()

    def _intake(self, account: Account) -> Intake:
        return Intake(
            inbox=self._services.inbox,
            account=account,
            are_groups_served=self._settings.telegram_groups,
            on_waiting=self._live.begin,
            on_pressed=self._thanks.give,
        )

    async def _greet(self) -> Account | None:
        """Who we are, as soon as Telegram can be reached; None when stopped first."""
        if not await self._insist(self._api.initialize):
            return None
        me = self._api.bot
        log.info("telegram_greets", account=me.id, username=me.username)
        return Account(id=me.id, username=me.username or "")

    async def _insist(self, call: Callable[[], Awaitable[object]]) -> bool:
        """Until Telegram did it; False when stopped first. Raises `TokenRefused`."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                await call()
            except InvalidToken:
                raise TokenRefused from None
            except TelegramError as error:
                attempt += 1
                seconds = wait_seconds(error, attempt)
                log.warning("telegram_unreachable", error=type(error).__name__, seconds=seconds)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), seconds)
            else:
                return True
        return False

    async def _offer_menu(self) -> None:
        try:
            await menu.offer(self._api, self._settings.locale)
        except TelegramError as error:
            log.warning("menu_not_offered", error=type(error).__name__)

    async def _resume_waiting(self) -> None:
        for turn_id, place in await self._records.waiting():
            self._live.begin(turn_id, place)

    async def _pending_updates(self) -> int | None:
        try:
            pending = (await self._api.get_webhook_info()).pending_update_count
        except TelegramError:
            return None
        if not pending:
            self._health.heard()  # nobody says anything, which in webhook mode nothing else would tell
        return pending

    def _new_sender(self) -> TelegramSender:
        return TelegramSender(
            bot=self._api,
            limiter=self._limiter,
            paces=self._pace,
            shown=self._live,
            begin=self._journal.begin,
            reply_to=self._records.reply_to,
            on_gone=self._on_gone,
            has_ratings=self._settings.telegram_feedback,
            texts=self._services.texts,
        )

    def _pace(self, place: TelegramChat) -> Pace:
        per_second = self._settings.telegram_chat_messages_per_second if place.is_private else _GROUP_PER_SECOND
        return Pace(account_per_second=self._settings.telegram_messages_per_second, chat_per_second=per_second)

    async def _on_gone(self, place: TelegramChat) -> None:
        await self._services.inbox.leave(place.address())

    async def _close(self) -> None:
        await self._live.close()
        await self._slots.close()
        self._journal.close(is_settled=self._courier.is_settled)
        with contextlib.suppress(TelegramError):
            await self._api.shutdown()
