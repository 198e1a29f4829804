"""A seat before the loft."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.services import BotServices
from tests.bot.contract.pigeon.adapter import open_adapter
from tests.bot.contract.pigeon.loft import Loft
from tests.bot.contract.pigeon.manifest import MANIFEST
from tests.bot.contract.pigeon.settings import PigeonSettings
from tests.bot.running import Running

__all__ = ["MANIFEST", "open_seat"]


@asynccontextmanager
async def open_seat(services: BotServices, directory: Path) -> AsyncIterator["PigeonSeat"]:
    loft = Loft()
    await loft.open()
    try:
        yield PigeonSeat(services, loft, directory)
    finally:
        await loft.close()


class PigeonSeat:
    channel = MANIFEST

    def __init__(self, services: BotServices, loft: Loft, home: Path) -> None:
        self._services = services
        self._loft = loft
        self._home = home

    async def start(self) -> None:
        settings = PigeonSettings(pigeon_loft=self._loft.endpoint)
        self._running = await Running(open_adapter(self._services, settings, self._home)).listens()

    async def stop(self) -> None:
        await self._running.stop()

    def say(self, text: str) -> None:
        self._loft.bring("text", text=text)

    def say_again(self) -> None:
        """The adapter tries again."""

    def acknowledged_count(self) -> int:
        return len(self._loft.acknowledged)

    def told(self) -> list[str]:
        return list(self._loft.told)

    def handed_over(self) -> str:
        return "\n".join(self.told())

    def repeat(self) -> None:
        self._loft.repeat()

    def show(self) -> None:
        self._loft.bring("picture")

    def rate(self, value: int) -> None:
        self._loft.bring("rating", turn=self._loft.last_turn, value=value)

    def refuse_once(self) -> None:
        self._loft.fates = ["later"]

    def refuse_for_good(self) -> None:
        self._loft.fates = ["never"]
