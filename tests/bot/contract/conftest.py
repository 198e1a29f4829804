from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from bot.services import BotServices
from tests.bot.contract.console import ConsoleSeat
from tests.bot.contract.seat import PlatformSeat, Seat
from tests.bot.contract.telegram import TelegramSeat
from tests.bot.contract.wechat import WechatSeat
from tests.bot.telegram.loopback import Telegram
from tests.bot.wechat.gateway import Gateway


@pytest.fixture
def make_seat(services: BotServices, tmp_path: Path) -> Iterator[Callable[[str], Seat]]:
    with Gateway(is_durable=True) as gateway:
        telegram = Telegram().start()
        seats: dict[str, Callable[[], Seat]] = {
            "console": lambda: ConsoleSeat(services, tmp_path / "exports"),
            "telegram": lambda: TelegramSeat(services, telegram, tmp_path),
            "wechat": lambda: WechatSeat(services, gateway, tmp_path),
        }
        yield lambda name: seats[name]()
        telegram.stop()


@pytest_asyncio.fixture(params=["console", "telegram", "wechat"])
async def seat(request: pytest.FixtureRequest, make_seat: Callable[[str], Seat]) -> AsyncIterator[Seat]:
    """Every channel."""
    made = make_seat(request.param)
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(params=["telegram", "wechat"])
async def platform(request: pytest.FixtureRequest, make_seat: Callable[[str], Seat]) -> AsyncIterator[PlatformSeat]:
    """Every channel that is a platform of others."""
    made = make_seat(request.param)
    await made.start()
    yield made  # type: ignore[misc]  # these two are
    await made.stop()
