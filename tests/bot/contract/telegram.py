"""A seat before Telegram: the real adapter on the loopback Bot API server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from bot.channels.telegram.adapter import open_adapter
from bot.channels.telegram.manifest import MANIFEST
from bot.channels.telegram.settings import TelegramSettings
from bot.services import BotServices
from tests.bot.running import Running
from tests.bot.telegram.loopback import TOKEN, Telegram

_WHO = 4711
_FILE = {"file_id": "a", "file_unique_id": "b", "duration": 3}
_CHAT = {"id": _WHO, "type": "private", "first_name": "人"}


__all__ = ["MANIFEST", "open_seat"]


@asynccontextmanager
async def open_seat(services: BotServices, directory: Path) -> AsyncIterator["TelegramSeat"]:
    telegram = Telegram().start()
    try:
        yield TelegramSeat(services, telegram, directory)
    finally:
        telegram.stop()


class TelegramSeat:
    channel = MANIFEST

    def __init__(self, services: BotServices, telegram: Telegram, home: Path) -> None:
        self._services = services
        self._telegram = telegram
        self._home = home
        self._said = 0

    async def start(self) -> None:
        settings = TelegramSettings(
            telegram_token=SecretStr(TOKEN),
            telegram_api_url=self._telegram.api_url,
            telegram_messages_per_second=1000,
            telegram_chat_messages_per_second=1000,
        )
        self._running = await Running(open_adapter(self._services, settings, self._home)).listens()

    async def stop(self) -> None:
        await self._running.stop()

    def say(self, text: str) -> None:
        self._said += 1
        self._telegram.write(_WHO, text)

    def say_again(self) -> None:
        """Telegram tells again what was not confirmed."""

    def acknowledged_count(self) -> int:
        """A poll confirms what lies before its offset."""
        return self._said - len(self._telegram.pending)

    def told(self) -> list[str]:
        return self._telegram.texts(_WHO)

    def handed_over(self) -> str:
        files = (sent.file.decode() for sent in self._telegram.sent[_WHO] if sent.file is not None)
        return "\n".join([*self.told(), *files])

    def repeat(self) -> None:
        self._telegram.repeat(self._telegram.last_update)

    def show(self) -> None:
        self._said += 1
        self._telegram.message(_WHO, _CHAT, voice=_FILE)

    def rate(self, value: int) -> None:
        self._telegram.press(_WHO, self._telegram.sent[_WHO][-1], 0 if value > 0 else 1)

    def refuse_once(self) -> None:
        self._telegram.fault("sendMessage", 429, retry_after=1)

    def refuse_for_good(self) -> None:
        self._telegram.fault("sendMessage", 400)
