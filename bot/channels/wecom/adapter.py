"""The WeCom adapter's composition root: notices in, pulls, texts out."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from bot.channels.runtime import Adapter, AdapterContext, Runtime
from bot.channels.tencent.encryption import CallbackCipher
from bot.channels.tencent.errors import ApiError, Unreachable
from bot.channels.wecom import media
from bot.channels.wecom.api import Api
from bot.channels.wecom.callback import Callback
from bot.channels.wecom.colleagues import Colleagues
from bot.channels.wecom.errors import NO_RIGHTS, REFUSED_FOR_GOOD, SWITCHED_OFF
from bot.channels.wecom.intake import Intake
from bot.channels.wecom.manifest import MANIFEST
from bot.channels.wecom.notices import AccountsChanged, Notice, SomethingCame
from bot.channels.wecom.puller import Puller
from bot.channels.wecom.records import Records
from bot.channels.wecom.sender import MAX_FILE_BYTES, WecomSender
from bot.channels.wecom.settings import WecomSettings, given, names
from bot.channels.wecom.trouble import Trouble, describe
from bot.channels.wecom.welcome import WelcomeCodes
from bot.health import Listening
from bot.services import BotServices
from bot.token_refusals import Refusals
from dialogue.errors import DatabaseUnavailable, Misconfigured

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_RETRY_SECONDS = 1.0
_MAX_RETRY_SECONDS = 30.0
_ACCOUNTS_SECONDS = 300.0
_REFUSAL_SECONDS = 300.0
"""As long as WeCom must refuse what it once accepted before that is believed."""


def open_adapter(services: BotServices, settings: WecomSettings, home: Path) -> Runtime:
    """Raises `Misconfigured`."""
    return Runtime(MANIFEST, services, home, lambda context: WecomAdapter(context, settings))


class WecomAdapter(Adapter):
    """One app of one organisation, with all of its customer-service accounts."""

    def __init__(self, context: AdapterContext, settings: WecomSettings) -> None:
        services = context.services
        self._settings = settings
        self._health = context.health
        self._stopping = context.stopping
        self._trouble = Trouble(context.health)
        self._refusals = Refusals(patience_seconds=_REFUSAL_SECONDS, was_accepted=context.health.has_heard_before())
        self._accounts: list[str] = []
        self._relist = asyncio.Event()
        corp_id = given(settings.wecom_corp_id, "MINDGLM_WECOM_CORP_ID")
        self._api = Api(
            corp_id=corp_id,
            secret=given(settings.wecom_secret, "MINDGLM_WECOM_SECRET"),
            url=settings.wecom_api_url,
        )
        cipher = CallbackCipher(
            token=given(settings.wecom_callback_token, "MINDGLM_WECOM_CALLBACK_TOKEN"),
            aes_key=given(settings.wecom_aes_key, "MINDGLM_WECOM_AES_KEY"),
            receiver_id=corp_id,
            key_variable="MINDGLM_WECOM_AES_KEY",
        )
        self._callback = Callback(
            cipher, self._take_notice, on_misread=self._trouble.misread, instruments=services.instruments
        )
        self._records = Records(services)
        welcomes = WelcomeCodes()
        self._colleagues = Colleagues(
            self._api, self._records, accounts=self._served, servicers=names(settings.wecom_servicers)
        )
        self._puller = Puller(
            self._api,
            self._records,
            Intake(services, colleagues=self._colleagues, welcomes=welcomes, stopping=self._stopping),
            accounts=self._served,
            trouble=self._trouble,
            health=self._health,
            stopping=self._stopping,
            every_seconds=settings.wecom_pull_seconds,
        )
        sender = WecomSender(
            self._api,
            colleagues=self._colleagues,
            welcomes=welcomes,
            trouble=self._trouble,
            accounts=self._served,
            texts=services.texts,
            has_ratings=settings.wecom_feedback,
            packing=services.executors.exports,
        )
        super().__init__(
            sender,
            send_files=sender.send_files,
            fetch=partial(media.fetch, self._api),
            max_file_bytes=MAX_FILE_BYTES,
            listening=Listening.PUSHED,
        )

    async def greet(self) -> bool:
        """The callback answers from the first moment: WeCom's console asks it before anything else is set up.

        Raises `Misconfigured`.
        """
        port = self._callback.listen(self._settings.wecom_listen)
        log.info("wecom_callback_listens", port=port)
        return await self._insist()

    async def listen(self, on_ready: Callable[[], None]) -> None:
        with contextlib.suppress(ApiError, Unreachable):
            await self._colleagues.refresh()
        on_ready()
        await self._puller.run()

    def beside(self) -> Iterable[Coroutine[Any, Any, None]]:
        return self._colleagues.run(), self._colleagues.watch_duty(), self._watch_accounts()

    async def pending_updates(self) -> int | None:
        """WeCom does not say how much it holds; 0 where it answers at all, for then everything is pulled."""
        try:
            await self._list_accounts()
        except ApiError as error:
            self._trouble.refused(error)
            return None
        except (Unreachable, DatabaseUnavailable):
            return None
        return 0

    async def close(self) -> None:
        await self._callback.close()
        await self._api.close()

    def _served(self) -> list[str]:
        return self._accounts

    async def _take_notice(self, notice: Notice) -> None:
        """Commit it, then let it be pulled; raises `DatabaseUnavailable`."""
        match notice:
            case SomethingCame(account=account, pull_token=pull_token):
                self._health.heard()
                self._trouble.noticed(account)
                if account not in self._accounts:
                    self._relist.set()
                await self._puller.notice(account, pull_token)
            case AccountsChanged():
                self._relist.set()

    async def _insist(self) -> bool:
        """Until WeCom has told which accounts there are; False when stopped first.

        Raises `Misconfigured` once WeCom has refused us for minutes: platforms do so while they are ill.
        """
        seconds = _RETRY_SECONDS
        while not self._stopping.is_set():
            try:
                await self._list_accounts()
            except ApiError as error:
                self._trouble.refused(error)
                if error.code in (*REFUSED_FOR_GOOD, *NO_RIGHTS, *SWITCHED_OFF) and self._refusals.refused():
                    raise Misconfigured(describe(error)[1]) from None
            except (Unreachable, DatabaseUnavailable) as error:
                log.warning("wecom_unreachable", error=str(error), seconds=seconds)
            else:
                self._refusals.accepted()
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
            seconds = min(seconds * 2, _MAX_RETRY_SECONDS)
        return False

    async def _list_accounts(self) -> None:
        """Those of the app, or of them those that the settings name."""
        found = [account.id for account in await self._api.accounts()]
        self._trouble.answered()
        self._trouble.tokens(ended_early=self._api.tokens_ended_early())
        wanted = names(self._settings.wecom_accounts)
        served = [account for account in found if not wanted or account in wanted]
        new = [account for account in served if account not in self._accounts]
        if new:
            await self._records.know(new)
            log.info("wecom_accounts", count=len(served))
        self._accounts[:] = served
        if served:
            self._trouble.has_accounts()
        else:
            self._trouble.no_accounts()

    async def _watch_accounts(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._relist.wait(), _ACCOUNTS_SECONDS)
            self._relist.clear()
            with contextlib.suppress(ApiError, Unreachable, DatabaseUnavailable):
                await self._list_accounts()
            await asyncio.sleep(_RETRY_SECONDS)
