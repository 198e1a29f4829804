from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from bot.channels.wechat.adapter import open_adapter
from bot.channels.wechat.settings import WechatSettings
from bot.services import BotServices
from tests.bot.running import Running
from tests.bot.wechat.gateway import TOKEN, Gateway
from tests.patience import until


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A stock puppet service."""
    with Gateway() as served:
        yield served


@pytest.fixture
def durable_gateway() -> Iterator[Gateway]:
    """One that does what ours does."""
    with Gateway(is_durable=True) as served:
        yield served


@pytest_asyncio.fixture
async def start(services: BotServices, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Start an adapter on a gateway and wait until it listens; settings can be changed."""
    running: list[Running] = []

    async def start_one(gateway: Gateway, *, is_awaited: bool = True, **settings: Any) -> Running:
        values = {
            "wechat_endpoint": gateway.endpoint,
            "wechat_token": SecretStr(TOKEN),
            "wechat_messages_per_minute": 60_000,
            "wechat_part_pause_seconds": 0.0,
            **settings,
        }
        one = Running(open_adapter(services, WechatSettings(**values), tmp_path))
        running.append(one)
        if is_awaited:
            await one.listens()
            await until(gateway.has_reader)  # an adapter is also ready once its stream was silent for seconds
        return one

    yield start_one
    for one in running:
        await one.stop()  # raises what ended it meanwhile
