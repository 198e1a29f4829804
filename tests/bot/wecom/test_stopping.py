"""What swallows a cancellation holds up no stop, and keeps no lease."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from bot.channels.wecom.colleagues import Colleagues
from bot.channels.wecom.pull_round import PullRound
from dialogue.process.ending import running_tasks
from tests.bot.contract.model import Model
from tests.bot.wecom.clinic import PERSON, Clinic
from tests.bot.wecom.loopback import WeCom
from tests.patience import until


async def swallows_one(*_ignored: Any) -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)
    await asyncio.sleep(3600)


@pytest.mark.parametrize("name", ["run", "watch_duty"])
async def test_what_runs_beside_the_adapter_ends_with_it(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Colleagues, name, swallows_one)
    await clinic.opens()
    async with asyncio.timeout(20):
        await clinic.close()


async def test_a_lease_is_not_kept_for_ever(
    clinic: Clinic, wecom: WeCom, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeps = "test_a_lease_is_not_kept_for_ever.<locals>.keeps"

    async def keeps_one(*_ignored: Any) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    keeps_one.__qualname__ = keeps
    monkeypatch.setattr(PullRound, "_keep", keeps_one)
    await clinic.opens()
    wecom.say(PERSON, "你好")
    await until(lambda: clinic.stored() == 1)
    await until(lambda: keeps not in running_tasks(asyncio.get_running_loop()))
