"""A seat before WeCom: the real adapter with its real callback, on a loopback WeCom that is as nasty as it can be."""

import io
import socket
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.channels.wecom.adapter import open_adapter
from bot.channels.wecom.manifest import MANIFEST
from bot.channels.wecom.settings import WecomSettings
from bot.services import BotServices
from dialogue.core import cursors
from tests.bot.running import Running
from tests.bot.wecom.loopback import WeCom
from tests.bot.wecom.wire import ACCOUNT, AES_KEY, CORP_ID, SECRET, TOKEN

__all__ = ["MANIFEST", "open_seat"]

PERSON = "wmPERSON01"


def settings_for(wecom: WeCom, **more: object) -> WecomSettings:
    """Of an adapter whose callback the loopback knows."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = "{}:{}".format(*free.getsockname())
    wecom.callback_url = f"http://{listen}/wecom"
    usual: dict[str, Any] = {
        "wecom_corp_id": CORP_ID,
        "wecom_secret": SecretStr(SECRET),
        "wecom_callback_token": SecretStr(TOKEN),
        "wecom_aes_key": SecretStr(AES_KEY),
        "wecom_listen": listen,
        "wecom_api_url": wecom.api_url,
        "wecom_pull_seconds": 0.2,
    }
    return WecomSettings(**(usual | more))


@asynccontextmanager
async def open_seat(services: BotServices, directory: Path) -> AsyncIterator["WecomSeat"]:
    wecom = WeCom().start()
    try:
        yield WecomSeat(services, wecom, directory)
    finally:
        wecom.stop()


class WecomSeat:
    channel = MANIFEST

    def __init__(self, services: BotServices, wecom: WeCom, home: Path) -> None:
        self._services = services
        self.wecom = wecom
        self._home = home
        self._settings = settings_for(wecom)
        self._last = ""

    async def start(self) -> None:
        self._running = await Running(open_adapter(self._services, self._settings, self._home)).listens()

    async def stop(self) -> None:
        await self._running.stop()

    def say(self, text: str) -> None:
        self._last = self.wecom.say(PERSON, text)

    def say_again(self) -> None:
        """The adapter asks again by itself."""

    def acknowledged_count(self) -> int:
        """WeCom learns nothing but the cursor, which is saved here."""
        with self._services.database.read() as session:
            pull = cursors.saved_cursor(session, "wecom", ACCOUNT)
        return int((pull or "c-0").removeprefix("c-"))

    def told(self) -> list[str]:
        return self.wecom.texts(PERSON)

    def handed_over(self) -> str:
        return "".join(self.told()) + "".join(_unpacked(sent.file) for sent in self.wecom.seen(PERSON) if sent.file)

    def repeat(self) -> None:
        self.wecom.repeat(self._last)

    def show(self) -> None:
        self._last = self.wecom.show(PERSON)

    def rate(self, value: int) -> None:
        self.wecom.choose(PERSON, 0 if value > 0 else 1)

    def refuse_once(self) -> None:
        self.wecom.fault("kf/send_msg", 45033, times=3)

    def refuse_for_good(self) -> None:
        self.wecom.fault("kf/send_msg", 40058, message="invalid parameter")


def _unpacked(content: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return "".join(archive.read(name).decode() for name in archive.namelist())
