"""What swallows a cancellation, as client libraries do now and then, holds up no stop."""

import asyncio
from contextlib import suppress
from typing import Any, cast
from uuid import uuid4

import pytest

from bot.channels.telegram.bot_api import BotApi
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.intake import Intake
from bot.channels.telegram.polling import Poller
from bot.channels.telegram.presses import Presses
from bot.channels.telegram.progress import Progress
from bot.health import Health
from tests.bot.telegram.test_polling import FakeHealth


async def swallows_one(*_ignored: Any, **_also: Any) -> Any:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)
    await asyncio.sleep(3600)


async def test_the_display_of_progress_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Progress, "_show", swallows_one)
    nothing = cast("Any", None)
    progress = Progress(
        bot=nothing, limiter=nothing, paces=nothing, turns=nothing, stale=nothing, queue=nothing, on_moved=nothing
    )
    progress.begin(uuid4(), TelegramChat(chat_id=7))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await progress.close()


async def test_the_poller_ends() -> None:
    class Line:
        raw_updates = staticmethod(swallows_one)

    stopping = asyncio.Event()
    poller = Poller(cast("BotApi", Line()), cast("Intake", None), cast("Health", FakeHealth()), stopping)
    running = asyncio.create_task(poller.run())
    await asyncio.sleep(0.01)
    stopping.set()
    async with asyncio.timeout(10):
        await running


async def test_answers_to_presses_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Presses, "_retire", swallows_one)
    presses = Presses(cast("Any", None), texts_in=cast("Any", None), latest_notice=cast("Any", None))
    presses.retire(TelegramChat(chat_id=7), 1)
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await presses.close()
