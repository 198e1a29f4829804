"""What the operator must mend is a fault of the adapter's health, by a sentence that says how, until it is mended."""

import asyncio
import logging
from pathlib import Path

import pytest
import structlog

from bot.channels.oa import adapter, desk
from bot.channels.oa.adapter import open_adapter
from bot.channels.runtime import Runtime
from bot.services import BotServices
from dialogue.errors import Misconfigured
from dialogue.process.logs import configure
from dialogue.process.settings import DialogueSettings
from tests.bot.contract.model import Model
from tests.bot.contract.oa import settings_for
from tests.bot.oa.clinic import PERSON, OaClinic
from tests.bot.oa.loopback import OfficialAccount
from tests.bot.oa.wire import AES_KEY, SECRET, TOKEN
from tests.patience import until


def has_fault(runtime: Runtime, words: str) -> bool:
    return any(words in fault for fault in runtime.faults())


@pytest.fixture
def _believes_refusals_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_REFUSAL_SECONDS", 0.0)
    monkeypatch.setattr(adapter, "_RETRY_SECONDS", 0.01)


@pytest.mark.usefixtures("_believes_refusals_at_once")
@pytest.mark.parametrize("code", [40001, 40013, 40125])
async def test_credentials_that_are_refused_for_good_end_the_adapter(
    services: BotServices, account: OfficialAccount, tmp_path: Path, code: int
) -> None:
    account.fault("stable_token", code, times=99)
    runtime = open_adapter(services, settings_for(account), tmp_path)
    with pytest.raises(Misconfigured, match="MINDGLM_OA_SECRET"):
        await runtime.run(lambda: None)


async def test_an_address_that_is_not_listed_is_waited_for_and_named(
    services: BotServices, account: OfficialAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_RETRY_SECONDS", 0.2)
    message = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 1"
    account.fault("stable_token", 40164, message=message, times=2)
    runtime = open_adapter(services, settings_for(account), tmp_path)
    ready = asyncio.Event()
    running = asyncio.create_task(runtime.run(ready.set))
    await until(lambda: has_fault(runtime, "203.0.113.7") and has_fault(runtime, "白名单"))
    await asyncio.wait_for(ready.wait(), 30)
    assert runtime.faults() == []
    runtime.stop()
    await running


@pytest.mark.parametrize(
    ("code", "hint"),
    [(48004, "appeal"), (50002, "appeal"), (45009, "clear_quota"), (45011, "45011"), (40164, "白名单")],
)
async def test_what_keeps_words_from_leaving_is_said_and_they_are_kept(
    clinic: OaClinic, account: OfficialAccount, model: Model, code: int, hint: str
) -> None:
    runtime = await clinic.opens()
    account.fault("message/custom/send", code)
    account.say(PERSON, "我睡不着")
    await until(lambda: has_fault(runtime, hint))
    await until(lambda: clinic.states() == ["pending"])


async def test_pushes_in_clear_are_refused_until_the_mode_is_mended(
    clinic: OaClinic, account: OfficialAccount, model: Model
) -> None:
    runtime = await clinic.opens()
    account.nastiness.mode = "plain"
    account.say(PERSON, "谁都能写的话")
    await until(lambda: has_fault(runtime, "安全模式"))
    await until(lambda: bool(account.lost))  # else the last of its pushes would come in the other mode
    account.nastiness.mode = "compatible"
    account.say(PERSON, "我睡不着")
    await until(lambda: runtime.faults() == [])
    await until(lambda: clinic.told()[-1:] == ["收到：我睡不着"])


async def test_something_unforeseen_costs_nobody_their_words(
    clinic: OaClinic, account: OfficialAccount, services: BotServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for three times; then it is kept for staff."""
    await clinic.opens()

    async def breaks(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(services.inbox.__class__, "receive", breaks)
    account.nastiness.parallel_every = 0
    message_id = account.say(PERSON, "我睡不着")
    await until(lambda: message_id in account.acknowledged)
    assert account.statuses[:2] == [503, 503]


async def test_the_log_of_a_bad_day_holds_no_secret_and_no_words(
    clinic: OaClinic, account: OfficialAccount, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    configure(DialogueSettings())
    caplog.set_level(logging.DEBUG)
    account.nastiness.token_calls = 4
    try:
        with structlog.testing.capture_logs() as events:
            await clinic.opens()
            for kind in (42001, -1, "drop_before"):
                account.fault("message/custom/send", kind)
                account.fault("message/custom/typing", kind)
            account.nastiness.mode = "plain"
            account.say(PERSON, "谁也不能看到的话")
            account.nastiness.mode = "safe"
            account.say(PERSON, "谁也不能看到的话")
            await until(lambda: clinic.states() != [] and clinic.states() != ["pending"])
    finally:
        structlog.reset_defaults()
        logging.basicConfig(level=logging.WARNING, handlers=[logging.NullHandler()], force=True)
    said = repr(events) + caplog.text
    for secret in (SECRET, TOKEN, AES_KEY, "access-token-", "谁也不能看到的话"):
        assert secret not in said, secret
    assert len(events) > 3


def test_a_person_hears_in_time() -> None:
    """WeChat hangs up after five seconds."""
    assert max(desk.PASSIVE_SECONDS) < 5
    assert desk._STORE_SECONDS < 5
