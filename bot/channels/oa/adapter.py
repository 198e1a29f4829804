"""The Official Account adapter's composition root: pushes in, texts out."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from bot.channels.oa import account_menu, media
from bot.channels.oa.api import OaApi
from bot.channels.oa.callback import OaCallback
from bot.channels.oa.consent_menu import ConsentMenu
from bot.channels.oa.desk import PushDesk
from bot.channels.oa.errors import REFUSED_FOR_GOOD
from bot.channels.oa.exchanges import Exchanges
from bot.channels.oa.intake import OaIntake
from bot.channels.oa.manifest import MANIFEST
from bot.channels.oa.records import OaRecords
from bot.channels.oa.replying import ReplyingMode
from bot.channels.oa.sender import OaSender
from bot.channels.oa.settings import OaSettings, given
from bot.channels.oa.trouble import OaTrouble, describe
from bot.channels.oa.typing_sign import TypingSign
from bot.channels.runtime import Adapter, AdapterContext, Runtime
from bot.channels.tencent.encryption import CallbackCipher
from bot.channels.tencent.errors import ApiError, Unreachable
from bot.health import Listening
from bot.services import BotServices
from bot.token_refusals import Refusals
from care.languages import ENGLISH, SIMPLIFIED, TRADITIONAL, locale_of, localized
from dialogue.errors import Misconfigured
from dialogue.messages import OwedText

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_RETRY_SECONDS = 1.0
_MAX_RETRY_SECONDS = 30.0
_REFUSAL_SECONDS = 300.0
"""As long as WeChat must refuse what it once accepted before that is believed."""


def open_adapter(services: BotServices, settings: OaSettings, home: Path) -> Runtime:
    """Raises `Misconfigured`."""
    return Runtime(MANIFEST, services, home, lambda context: OaAdapter(context, settings))


class OaAdapter(Adapter):
    """One Official Account."""

    def __init__(self, context: AdapterContext, settings: OaSettings) -> None:
        services = context.services
        self._services = services
        self._settings = settings
        self._stopping = context.stopping
        self._mode = ReplyingMode(settings.oa_mode)
        self._trouble = OaTrouble(context.health)
        self._refusals = Refusals(patience_seconds=_REFUSAL_SECONDS, was_accepted=context.health.has_heard_before())
        app_id = given(settings.oa_app_id, "MINDGLM_OA_APP_ID")
        self._api = OaApi(app_id=app_id, secret=given(settings.oa_secret, "MINDGLM_OA_SECRET"), url=settings.oa_api_url)
        cipher = CallbackCipher(
            token=given(settings.oa_callback_token, "MINDGLM_OA_CALLBACK_TOKEN"),
            aes_key=given(settings.oa_aes_key, "MINDGLM_OA_AES_KEY"),
            receiver_id=app_id,
            key_variable="MINDGLM_OA_AES_KEY",
        )
        records, exchanges = OaRecords(services), Exchanges()
        self._typing_sign = TypingSign(self._api)
        intake = OaIntake(
            services.inbox,
            records,
            account=app_id,
            mode=self._mode,
            consent_menu=self._consent_menu_in(None),
            on_awaited=self._awaited,
        )
        self._callback = OaCallback(
            cipher,
            PushDesk(intake, exchanges, mode=self._mode, say=self._say),
            trouble=self._trouble,
            on_heard=context.health.heard,
            instruments=services.instruments,
        )
        sender = OaSender(
            self._api,
            exchanges=exchanges,
            mode=self._mode,
            trouble=self._trouble,
            typing_sign=self._typing_sign,
            consent_menu=self._consent_menu_for,
            begin=context.begin,
            message_of=records.message_of,
            on_gone=services.inbox.leave,
        )
        super().__init__(sender, fetch=partial(media.fetch, self._api), listening=Listening.PUSHED)

    async def greet(self) -> bool:
        """The callback answers from the first moment: WeChat's console asks it before anything else is set up.

        Raises `Misconfigured`.
        """
        port = self._callback.listen(self._settings.oa_listen)
        log.info("oa_callback_listens", port=port)
        if self._mode.is_passive:
            return True
        is_greeted = await self._insist()
        if is_greeted and not self._mode.is_passive:
            await self._offer_menu()
        return is_greeted

    async def listen(self, on_ready: Callable[[], None]) -> None:
        on_ready()
        await self._stopping.wait()

    async def pending_updates(self) -> int | None:
        """WeChat holds nothing for us; 0 where it answers at all."""
        if self._mode.is_passive:
            return None
        try:
            await self._ask()
        except ApiError as error:
            self._trouble.refused(error)
            return None
        except Unreachable:
            return None
        return 0

    async def close(self) -> None:
        await self._callback.close()
        await self._typing_sign.close()
        await self._api.close()

    async def _insist(self) -> bool:
        """Until WeChat accepts us; False when stopped first.

        Raises `Misconfigured` once it has refused us for minutes: platforms do so while they are ill.
        """
        seconds = _RETRY_SECONDS
        while not self._stopping.is_set():
            try:
                await self._ask()
                await self._ask_whether_verified()
            except ApiError as error:
                self._trouble.refused(error)
                if error.code in REFUSED_FOR_GOOD and self._refusals.refused():
                    raise Misconfigured(describe(error)[1]) from None
            except Unreachable as error:
                log.warning("oa_unreachable", error=str(error), seconds=seconds)
            else:
                self._refusals.accepted()
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
            seconds = min(seconds * 2, _MAX_RETRY_SECONDS)
        return False

    async def _ask(self) -> None:
        await self._api.ask_whether_served()
        self._trouble.answered()
        self._trouble.tokens(ended_early=self._api.tokens_ended_early())

    async def _ask_whether_verified(self) -> None:
        if not await self._api.is_verified():
            self._mode.become_passive()
            self._trouble.not_verified()

    async def _offer_menu(self) -> None:
        """Best effort: every command may also be written."""
        try:
            if not await self._api.has_menu():
                await self._api.make_menu(account_menu.menu(MANIFEST.words(self._settings.locale).texts))
        except (ApiError, Unreachable) as error:
            log.warning("oa_menu_not_made", error=str(error))

    def _awaited(self, person: str) -> None:
        if not self._mode.is_passive:
            self._typing_sign.begin(person)

    async def _consent_menu_for(self, text: OwedText) -> ConsentMenu:
        """In the language of whoever is asked; raises `DatabaseUnavailable`."""
        pen = self._services.pen
        return self._consent_menu_in(await self._services.executors.delivery.run(partial(pen.language_of, text)))

    def _consent_menu_in(self, language: str | None) -> ConsentMenu:
        texts_in = self._services.pen.texts_in
        others = (partial(texts_in, each) for each in (SIMPLIFIED, ENGLISH, TRADITIONAL))  # the last takes 40 MB
        return ConsentMenu(texts_in(language), *others)

    def _say(self, key: str, language: str | None) -> str:
        locale = locale_of(language, self._settings.locale)
        return localized(MANIFEST.words(locale).texts, language).say(key)
