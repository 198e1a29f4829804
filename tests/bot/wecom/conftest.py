import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from bot.services import BotServices
from tests.bot.contract.model import Model
from tests.bot.wecom.clinic import Clinic
from tests.bot.wecom.loopback import WeCom


@pytest.fixture
def wecom() -> Iterator[WeCom]:
    server = WeCom().start()
    yield server
    server.stop()


@pytest_asyncio.fixture
async def clinic(services: BotServices, wecom: WeCom, tmp_path: Path) -> AsyncIterator[Clinic]:
    """Nobody listens yet."""
    made = Clinic(services, wecom, tmp_path)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def model(services: BotServices) -> AsyncIterator[Model]:
    """Answers whatever waits."""
    model = Model(services)
    answering = asyncio.create_task(model.run())
    yield model
    answering.cancel()
    with suppress(asyncio.CancelledError):
        await answering
