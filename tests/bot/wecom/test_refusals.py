"""WeCom refuses our credentials: believed only after minutes, for a platform says so while it is ill."""

import asyncio

import pytest

from bot.channels.wecom import adapter
from bot.channels.wecom.adapter import open_adapter
from dialogue.errors import Misconfigured
from tests.bot.contract.wecom import settings_for
from tests.bot.running import Running
from tests.bot.wecom.clinic import Clinic
from tests.bot.wecom.loopback import WeCom
from tests.patience import until

REFUSED, NO_RIGHT = 40001, 48002


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_RETRY_SECONDS", 0.01)


@pytest.mark.parametrize("code", [REFUSED, NO_RIGHT])
async def test_a_spell_of_refusals_at_the_start_is_outlived_and_told_meanwhile(
    clinic: Clinic, wecom: WeCom, code: int
) -> None:
    wecom.fault("gettoken", code, times=8)
    runtime = open_adapter(clinic.services, settings_for(wecom), clinic.home)
    running = Running(runtime)
    await until(lambda: bool(runtime.faults()))
    await running.listens()
    assert runtime.faults() == []
    await running.stop()


async def test_what_is_refused_for_minutes_ends_the_start_with_a_sentence(
    clinic: Clinic, wecom: WeCom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_REFUSAL_SECONDS", 0.0)
    wecom.fault("gettoken", REFUSED, times=1_000)
    runtime = open_adapter(clinic.services, settings_for(wecom), clinic.home)
    async with asyncio.timeout(30):
        with pytest.raises(Misconfigured, match="MINDGLM_WECOM_SECRET"):
            await runtime.run(lambda: None)
    assert wecom.calls["gettoken"] >= 4
