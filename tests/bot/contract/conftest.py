"""A seat before every channel: each module here that can open one, and the module `seat` of each folder."""

import pkgutil
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import pytest_asyncio

from bot.services import BotServices
from tests.bot import contract
from tests.bot.contract.seat import PlatformSeat, Seat


def _modules() -> dict[str, ModuleType]:
    """By name of the channel, in alphabetical order."""
    found = [
        import_module(f"{contract.__name__}.{each.name}{'.seat' if each.ispkg else ''}")
        for each in pkgutil.iter_modules(contract.__path__)
        if not each.name.startswith("test_") and each.name != "conftest"
    ]
    return {module.MANIFEST.name: module for module in found if hasattr(module, "open_seat")}


SEATS = _modules()
PLATFORMS = [name for name, module in SEATS.items() if module.MANIFEST.process is not None]


@pytest_asyncio.fixture(params=SEATS)
async def seat(request: pytest.FixtureRequest, services: BotServices, tmp_path: Path) -> AsyncIterator[Seat]:
    """Every channel."""
    async with SEATS[request.param].open_seat(services, tmp_path) as opened:
        await opened.start()
        yield opened
        await opened.stop()


@pytest_asyncio.fixture(params=PLATFORMS)
async def platform(
    request: pytest.FixtureRequest, services: BotServices, tmp_path: Path
) -> AsyncIterator[PlatformSeat]:
    """Every channel that is a platform of others."""
    async with SEATS[request.param].open_seat(services, tmp_path) as opened:
        await opened.start()
        yield opened
        await opened.stop()
