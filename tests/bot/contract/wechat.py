"""A seat before WeChat: the real adapter on a real gRPC puppet service that keeps what nobody acknowledged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from pydantic import SecretStr

from bot.channels.wechat.adapter import open_adapter
from bot.channels.wechat.manifest import MANIFEST
from bot.channels.wechat.reading import Form
from bot.channels.wechat.settings import WechatSettings
from bot.services import BotServices
from tests.bot.running import Running
from tests.bot.wechat.gateway import TOKEN, Gateway

__all__ = ["MANIFEST", "open_seat"]


@asynccontextmanager
async def open_seat(services: BotServices, directory: Path) -> AsyncIterator["WechatSeat"]:
    with Gateway(is_durable=True) as gateway:
        yield WechatSeat(services, gateway, directory)


class WechatSeat:
    channel = MANIFEST

    def __init__(self, services: BotServices, gateway: Gateway, home: Path) -> None:
        self._services = services
        self._gateway = gateway
        self._home = home
        self._last = ""

    async def start(self) -> None:
        settings = WechatSettings(
            wechat_endpoint=self._gateway.endpoint,
            wechat_token=SecretStr(TOKEN),
            wechat_messages_per_minute=60_000,
            wechat_part_pause_seconds=0,
        )
        self._running = await Running(open_adapter(self._services, settings, self._home)).listens()

    async def stop(self) -> None:
        await self._running.stop()

    def say(self, text: str) -> None:
        self._last = self._gateway.say(text)

    def say_again(self) -> None:
        """The adapter asks the gateway again."""

    def acknowledged_count(self) -> int:
        return len(set(self._gateway.acknowledged))

    def told(self) -> list[str]:
        return self._gateway.texts()

    def handed_over(self) -> str:
        return "".join(self.told())

    def repeat(self) -> None:
        self._gateway.tell(self._last)

    def show(self) -> None:
        self._last = self._gateway.say("<msg/>", form=Form.AUDIO)

    def rate(self, value: int) -> None:
        self.say("有帮助" if value > 0 else "没帮助")

    def refuse_once(self) -> None:
        self._gateway.troubles = [GRPCError(Status.UNKNOWN)]

    def refuse_for_good(self) -> None:
        self._gateway.troubles = [GRPCError(Status.UNKNOWN, "fate unknown")]
