import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from bot.services import BotServices
from tests.bot.contract.model import Model
from tests.bot.oa.clinic import OaClinic
from tests.bot.oa.loopback import OfficialAccount


@pytest.fixture
def account() -> Iterator[OfficialAccount]:
    server = OfficialAccount().start()
    yield server
    server.stop()


@pytest_asyncio.fixture
async def clinic(services: BotServices, account: OfficialAccount, tmp_path: Path) -> AsyncIterator[OaClinic]:
    """Nobody listens yet."""
    made = OaClinic(services, account, tmp_path)
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
