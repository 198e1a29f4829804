"""A seat before an Official Account: the real adapter with its real callback, on a loopback as nasty as it can be."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.channels.oa.adapter import open_adapter
from bot.channels.oa.manifest import MANIFEST
from bot.channels.oa.settings import OaSettings
from bot.services import BotServices
from tests.bot.oa.loopback import OfficialAccount
from tests.bot.oa.wire import AES_KEY, APP_ID, SECRET, TOKEN
from tests.bot.running import Running

__all__ = ["MANIFEST", "open_seat"]

PERSON = "oPerson0001"


def settings_for(account: OfficialAccount, **more: object) -> OaSettings:
    """Of an adapter whose callback the loopback knows."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = "{}:{}".format(*free.getsockname())
    account.callback_url = f"http://{listen}/oa"
    usual: dict[str, Any] = {
        "oa_app_id": APP_ID,
        "oa_secret": SecretStr(SECRET),
        "oa_callback_token": SecretStr(TOKEN),
        "oa_aes_key": SecretStr(AES_KEY),
        "oa_listen": listen,
        "oa_api_url": account.api_url,
    }
    return OaSettings(**(usual | more))


@asynccontextmanager
async def open_seat(services: BotServices, directory: Path) -> AsyncIterator["OaSeat"]:
    account = OfficialAccount()
    account.is_in_order = True  # nobody writes two messages within a round trip
    account.start()
    try:
        yield OaSeat(services, account, directory)
    finally:
        account.stop()


class OaSeat:
    channel = MANIFEST

    def __init__(self, services: BotServices, account: OfficialAccount, home: Path) -> None:
        self._services = services
        self.account = account
        self._home = home
        self._settings = settings_for(account)
        self._last = ""

    async def start(self) -> None:
        self._running = await Running(open_adapter(self._services, self._settings, self._home)).listens()

    async def stop(self) -> None:
        await self._running.stop()

    def say(self, text: str) -> None:
        self._last = self.account.say(PERSON, text)

    def say_again(self) -> None:
        """What was not taken in three pushes is written once more, if its writer notices."""
        if self._last in self.account.lost:
            self.say("我睡不着")

    def acknowledged_count(self) -> int:
        return len(set(self.account.acknowledged))

    def told(self) -> list[str]:
        return self.account.texts(PERSON)

    def handed_over(self) -> str:
        return "".join(self.told())

    def repeat(self) -> None:
        self.account.repeat(self._last)

    def show(self) -> None:
        self._last = self.account.show(PERSON)

    def rate(self, value: int) -> None:
        self.say("有帮助" if value > 0 else "没帮助")

    def refuse_once(self) -> None:
        self.account.fault("message/custom/send", -1, times=3)

    def refuse_for_good(self) -> None:
        self.account.fault("message/custom/send", 40003)
