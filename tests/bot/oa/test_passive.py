"""An account that is not verified: words leave in the answer to a push, once, or when the person writes again."""

import pytest
import pytest_asyncio

from bot.channels.oa import desk
from bot.channels.oa.settings import Replying
from bot.services import BotServices
from tests.bot.contract.model import Model
from tests.bot.oa.clinic import PERSON, OaClinic
from tests.bot.oa.loopback import OUT_OF_ORDER, Nastiness, OfficialAccount
from tests.patience import until

ACUTE = "我今晚就想结束自己"
PUSH_SECONDS = 1.2


@pytest.fixture
def account(account: OfficialAccount, monkeypatch: pytest.MonkeyPatch) -> OfficialAccount:
    """Not verified, and in a hurry."""
    account.is_verified = False
    account.nastiness = Nastiness.calm()
    account.push_seconds = PUSH_SECONDS
    monkeypatch.setattr(desk, "PASSIVE_SECONDS", (0.7, 0.7, 0.5))
    monkeypatch.setattr(desk, "_QUIET_SECONDS", 0.1)
    return account


def unhurried(account: OfficialAccount) -> None:
    """From now on as it is; the fixture puts back what it has changed."""
    account.push_seconds = 5.0
    desk.PASSIVE_SECONDS = (4.3, 4.3, 4.0)


@pytest_asyncio.fixture(params=["chosen", "found out"])
async def opened(request: pytest.FixtureRequest, clinic: OaClinic, account: OfficialAccount) -> OaClinic:
    """In passive mode: because the operator says so, or because WeChat does."""
    await clinic.opens(**({"oa_mode": Replying.PASSIVE} if request.param == "chosen" else {}))
    return clinic


async def test_a_reply_that_is_ready_is_the_answer_to_the_push(
    opened: OaClinic, account: OfficialAccount, model: Model
) -> None:
    unhurried(account)
    for number in range(2):
        account.say(PERSON, f"第{number}句")
        await until(lambda number=number: len(opened.told()) == number + 1)  # type: ignore[misc]  # a default binds it
    assert opened.told() == ["收到：第0句", "收到：第1句"]
    assert all(seen.is_passive for seen in account.seen(PERSON))
    assert account.calls["message/custom/send"] == 0
    await until(lambda: opened.states() == ["sent", "sent"])


async def test_a_reply_that_comes_after_all_pushes_is_said_when_the_person_asks_for_it(
    opened: OaClinic, account: OfficialAccount, services: BotServices
) -> None:
    model = Model(services)
    account.say(PERSON, "我睡不着")
    await until(lambda: len(opened.told()) == 1)
    assert "还在想" in opened.told()[0]
    await model.finish(await model.begin())
    await until(lambda: opened.states() == ["held"])
    unhurried(account)
    account.say(PERSON, "1")
    await until(lambda: opened.told()[1:] == ["收到：我睡不着"])
    assert opened.stored() == 1
    assert account.lost == []


async def test_other_words_get_what_was_owed_first_and_are_told_that_they_are_thought_about(
    opened: OaClinic, account: OfficialAccount, services: BotServices
) -> None:
    model = Model(services)
    account.say(PERSON, "我睡不着")
    await until(lambda: len(opened.told()) == 1)
    await model.finish(await model.begin())
    await until(lambda: opened.states() == ["held"])
    unhurried(account)
    account.say(PERSON, "还在吗")
    await until(lambda: len(opened.told()) == 2)
    owed, _, told = opened.told()[1].partition("\n\n")
    assert owed == "收到：我睡不着"
    assert "回复“1”" in told
    await model.finish(await model.begin())
    await until(lambda: "held" in opened.states())
    account.say(PERSON, "1")
    await until(lambda: opened.told()[2:] == ["收到：还在吗"])


async def test_a_reply_that_is_ready_by_the_second_push_is_its_answer(
    opened: OaClinic, account: OfficialAccount, services: BotServices
) -> None:
    model = Model(services)
    account.say(PERSON, "我睡不着")
    turn = await model.begin()
    await until(lambda: len(account.statuses) == 1)
    await model.finish(turn)
    await until(lambda: opened.told() == ["收到：我睡不着"])
    await until(lambda: opened.states() == ["sent"])


async def test_after_a_restart_the_push_that_comes_again_is_answered_in_time(
    clinic: OaClinic, account: OfficialAccount, services: BotServices
) -> None:
    """It may be the last one: whoever stays silent then lets the person read that the account is out of order."""
    model = Model(services)
    account.retry_pause_seconds = PUSH_SECONDS
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: clinic.stored() == 1)
    await clinic.close()
    await clinic.opens()
    account.tries = 2  # from now on
    await until(lambda: bool(account.acknowledged or account.lost))
    assert account.lost == []
    assert "还在想" in clinic.told()[0]
    await model.finish(await model.begin())
    await until(lambda: clinic.states() == ["held"])
    unhurried(account)
    account.say(PERSON, "1")
    await until(lambda: clinic.told()[1:] == ["收到：我睡不着"])


async def test_crisis_words_are_in_the_first_answer(opened: OaClinic, account: OfficialAccount) -> None:
    unhurried(account)
    account.say(PERSON, ACUTE)
    await until(lambda: len(opened.told()) == 1)
    assert "120" in opened.told()[0]
    assert account.statuses == [200]


async def test_a_push_that_comes_three_times_at_once_is_answered_once(
    opened: OaClinic, account: OfficialAccount, model: Model
) -> None:
    unhurried(account)
    account.nastiness.parallel_every = 1
    account.say(PERSON, "我睡不着")
    await until(lambda: len(account.acknowledged) == 1)
    assert opened.told() == ["收到：我睡不着"]
    assert opened.stored() == 1


async def test_a_long_reply_goes_on_when_the_person_asks_for_it(
    opened: OaClinic, account: OfficialAccount, model: Model
) -> None:
    reply = "慢慢来，你已经做得很好了。" * 80
    model.says = lambda _text: reply
    unhurried(account)
    account.say(PERSON, "我睡不着")
    await until(lambda: len(opened.told()) == 1)
    first, _, more = opened.told()[0].rpartition("\n\n")
    assert "没说完" in more
    await until(lambda: "held" in opened.states())
    account.say(PERSON, "1")
    await until(lambda: len(opened.told()) == 2)
    assert first + opened.told()[1] == reply


async def test_nobody_reads_that_the_account_is_out_of_order(opened: OaClinic, account: OfficialAccount) -> None:
    account.say(PERSON, "我睡不着")
    account.show(PERSON)
    account.follow(PERSON)
    account.click(PERSON, "help")
    await until(lambda: len(account.acknowledged) == 4)
    assert OUT_OF_ORDER not in opened.told()


async def test_an_account_that_turns_out_not_to_be_verified_says_so(clinic: OaClinic, account: OfficialAccount) -> None:
    account.is_verified = True
    runtime = await clinic.opens()
    account.is_verified = False
    account.say(PERSON, ACUTE)
    await until(lambda: any("48001" in fault for fault in runtime.faults()))
    unhurried(account)
    account.say(PERSON, "在吗")
    await until(lambda: any("120" in text for text in clinic.told()))
