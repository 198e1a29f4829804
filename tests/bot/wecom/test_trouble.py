"""What the operator must mend is a fault of the adapter's health, by a sentence that says how, until it is mended."""

import asyncio
from pathlib import Path

import pytest

from bot.channels.runtime import Runtime
from bot.channels.wecom import adapter
from bot.channels.wecom.adapter import open_adapter
from bot.channels.wecom.api import Api
from bot.services import BotServices
from dialogue.core import unparsed
from dialogue.errors import Misconfigured
from tests.bot.contract.model import Model
from tests.bot.contract.wecom import settings_for
from tests.bot.tencent.post import post
from tests.bot.wecom import wire
from tests.bot.wecom.clinic import PERSON, Clinic
from tests.bot.wecom.loopback import WeCom
from tests.bot.wecom.wire import ACCOUNT, CORP_ID, SECRET
from tests.patience import until

ANOTHER_KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"


def has_fault(runtime: Runtime, words: str) -> bool:
    return any(words in fault for fault in runtime.faults())


async def send(wecom: WeCom, plain: bytes, *, aes_key: str = wire.AES_KEY) -> int:
    """To the callback, signed with its token."""
    encrypted = wire.encrypt(plain, aes_key=aes_key)
    status, _ = await post(f"{wecom.callback_url}?{wire.query(encrypted)}", wire.envelope(encrypted), seconds=5)
    return status


@pytest.fixture
def _believes_refusals_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that last are `test_refusals`."""
    monkeypatch.setattr(adapter, "_REFUSAL_SECONDS", 0.0)
    monkeypatch.setattr(adapter, "_RETRY_SECONDS", 0.01)


@pytest.mark.usefixtures("_believes_refusals_at_once")
@pytest.mark.parametrize(
    ("call", "code", "hint"),
    [
        ("gettoken", 40001, "MINDGLM_WECOM_SECRET"),
        ("gettoken", 40013, "MINDGLM_WECOM_CORP_ID"),
        ("gettoken", 41001, "MINDGLM_WECOM_SECRET"),
        ("kf/account/list", 48002, "可调用接口的应用"),
        ("kf/account/list", 301002, "可见范围"),
        ("kf/account/list", 60030, "可见范围"),
        ("kf/account/list", 95011, "does not belong to the API"),
        ("kf/account/list", 95017, "does not belong to the API"),
    ],
)
async def test_what_no_restart_mends_ends_the_adapter_with_what_to_mend(
    services: BotServices, wecom: WeCom, tmp_path: Path, *, call: str, code: int, hint: str
) -> None:
    wecom.fault(call, code, times=99)
    runtime = open_adapter(services, settings_for(wecom), tmp_path)
    with pytest.raises(Misconfigured, match=hint):
        await runtime.run(lambda: None)


async def test_an_address_that_is_not_listed_is_waited_for_and_named(
    services: BotServices, wecom: WeCom, tmp_path: Path
) -> None:
    wecom.fault("kf/account/list", 60020, message="not allow to access from your ip, from ip: 203.0.113.7", times=2)
    runtime = open_adapter(services, settings_for(wecom), tmp_path)
    ready = asyncio.Event()
    running = asyncio.create_task(runtime.run(ready.set))
    await until(lambda: has_fault(runtime, "203.0.113.7") and has_fault(runtime, "企业可信IP"))
    await asyncio.wait_for(ready.wait(), 30)
    assert runtime.faults() == []
    runtime.stop()
    await running


async def test_an_account_that_is_gone_is_named_by_its_id(clinic: Clinic, wecom: WeCom) -> None:
    runtime = await clinic.opens()
    wecom.fault("kf/sync_msg", 95004)
    wecom.notify(is_sure=True)
    await until(lambda: has_fault(runtime, f"{ACCOUNT} is gone"))


async def test_words_for_an_account_that_is_gone_are_marked_so(clinic: Clinic, wecom: WeCom, model: Model) -> None:
    await clinic.opens()
    wecom.fault("kf/send_msg", 95000, message="invalid open_kfid")
    wecom.say(PERSON, "我睡不着")
    await until(lambda: [(one.state, one.error) for one in clinic.deliveries()] == [("failed", "account_gone")])


async def test_an_app_without_accounts_says_so_until_it_has_one(clinic: Clinic, wecom: WeCom, model: Model) -> None:
    wecom.accounts.clear()
    runtime = await clinic.opens()
    assert has_fault(runtime, "MINDGLM_WECOM_ACCOUNTS")
    wecom.accounts["wkNEW"] = "新账号"
    event = f"<xml><ToUserName>{CORP_ID}</ToUserName><Event>kf_account_auth_change</Event></xml>"
    assert await send(wecom, event.encode()) == 200
    await until(lambda: runtime.faults() == [])
    wecom.say(PERSON, "我睡不着", account="wkNEW")
    await until(lambda: wecom.texts(PERSON, account="wkNEW") == ["收到：我睡不着"])


async def test_a_notice_of_an_account_that_is_not_known_yet_makes_it_known(
    clinic: Clinic, wecom: WeCom, model: Model
) -> None:
    await clinic.opens()
    wecom.accounts["wkNEW"] = "新账号"
    wecom.say(PERSON, "我睡不着", account="wkNEW", is_noticed=False)
    assert await send(wecom, wire.notice("wkNEW", "", at=1)) == 200
    await until(lambda: wecom.texts(PERSON, account="wkNEW") == ["收到：我睡不着"])


async def test_a_key_of_another_page_is_told_until_notices_can_be_read(clinic: Clinic, wecom: WeCom) -> None:
    runtime = await clinic.opens()
    assert await send(wecom, wire.notice(ACCOUNT, "ENC1", at=1), aes_key=ANOTHER_KEY) == 403
    assert has_fault(runtime, "EncodingAESKey")
    wecom.notify(is_sure=True)
    await until(lambda: runtime.faults() == [])


async def test_a_stranger_who_signs_nothing_raises_no_fault(clinic: Clinic, wecom: WeCom) -> None:
    runtime = await clinic.opens()
    encrypted = wire.encrypt(b"x")
    status, _ = await post(f"{wecom.callback_url}?msg_signature=0", wire.envelope(encrypted), seconds=5)
    assert (status, runtime.faults()) == (403, [])


async def test_tokens_that_somebody_else_ends_are_told(clinic: Clinic, wecom: WeCom) -> None:
    wecom.nastiness.token_calls = 2
    runtime = await clinic.opens()
    for _ in range(9):
        pulls = wecom.calls["kf/sync_msg"]
        wecom.notify(is_sure=True)
        await until(lambda pulls=pulls: wecom.calls["kf/sync_msg"] > pulls)  # type: ignore[misc]  # a default binds it
    await send(wecom, b"<xml><Event>kf_account_auth_change</Event></xml>")
    await until(lambda: has_fault(runtime, "another program uses the Secret"))


async def test_two_processes_renew_a_token_once_each_and_nobody_is_refused(wecom: WeCom) -> None:
    """WeCom gives both the same one, so that neither ends the other's."""
    apis = [Api(corp_id=CORP_ID, secret=SECRET, url=wecom.api_url) for _ in range(2)]
    await asyncio.gather(*(api.accounts() for api in apis for _ in range(10)))
    assert wecom.calls["gettoken"] == 2
    wecom._access_token = ""  # ended early
    await asyncio.gather(*(api.accounts() for api in apis for _ in range(10)))
    assert wecom.calls["gettoken"] == 4
    for api in apis:
        await api.close()


async def test_what_colleagues_take_back_or_switch_is_nothing_of_ours(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    """Events that we know and that ask nothing of us, and one that nobody knows yet."""
    await clinic.opens()
    wecom.event(ACCOUNT, "servicer_recall_msg", external_userid=PERSON, recall_msgid="sm-1", servicer_userid="lisi")
    wecom.event(ACCOUNT, "reject_customer_msg_switch_change", external_userid=PERSON, reject_switch=1)
    wecom.event(ACCOUNT, "of_the_future", external_userid=PERSON)
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    with services.database.read() as session:
        assert unparsed.kept(session, limit=9) == []
