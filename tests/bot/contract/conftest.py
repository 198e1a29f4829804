from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from bot.room import Room
from dialogue import schema
from dialogue.database import connect, sqlite_url
from dialogue.settings import DialogueSettings
from dialogue.vault import new_secret
from tests.bot.contract.console import ConsoleSeat
from tests.bot.contract.seat import PlatformSeat, Seat
from tests.bot.contract.telegram import TelegramSeat
from tests.bot.contract.wechat import WechatSeat
from tests.bot.telegram.loopback import Telegram
from tests.bot.wechat.gateway import Gateway


@pytest.fixture
def broker_url(redis_url: str) -> str:
    """A test may put one in its place that nobody serves."""
    return redis_url


@pytest.fixture
def room(tmp_path: Path, broker_url: str) -> Iterator[Room]:
    """What a channel's process has, on SQLite and a real broker, with its sweep."""
    url = sqlite_url(tmp_path / "bot.db")
    database = connect(url)
    schema.upgrade(database)
    database.close()
    opened = Room.open(
        DialogueSettings(
            home=tmp_path,
            database_url=SecretStr(url),
            broker_url=SecretStr(broker_url),
            secret_key=SecretStr(new_secret()),
            max_message_length=100,
        )
    )
    yield opened
    opened.close()


@pytest.fixture
def make_seat(room: Room, tmp_path: Path) -> Iterator[Callable[[str], Seat]]:
    with Gateway(is_durable=True) as gateway:
        telegram = Telegram().start()
        seats: dict[str, Callable[[], Seat]] = {
            "console": lambda: ConsoleSeat(room),
            "telegram": lambda: TelegramSeat(room, telegram, tmp_path),
            "wechat": lambda: WechatSeat(room, gateway, tmp_path),
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
