"""A colleague answers in the WeCom app: we are silent, and hear everything."""

from bot.services import BotServices
from dialogue.core import budgets
from tests.bot.contract.model import Model
from tests.bot.wecom.clinic import PERSON, Clinic
from tests.bot.wecom.loopback import ENDED, WITH_COLLEAGUE, WeCom
from tests.patience import until

ACUTE = "我今晚就想结束自己"


async def test_while_a_colleague_has_the_session_nothing_is_said_and_everything_is_heard(
    clinic: Clinic, wecom: WeCom, model: Model
) -> None:
    await clinic.opens()
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    wecom.grab(PERSON, "lisi")
    await until(lambda: clinic.holders() == ["wecom:lisi"])
    wecom.say(PERSON, "谢谢你，李老师")
    wecom.say(PERSON, ACUTE)
    await until(lambda: clinic.stored() == 3)
    await until(lambda: "held" in clinic.states())  # crisis words that wait: the admins are alarmed by them
    assert clinic.told() == ["收到：我睡不着"]
    assert wecom.refusals[95018] == 0


async def test_the_end_of_the_session_gives_it_back_and_the_next_word_is_answered(
    clinic: Clinic, wecom: WeCom, model: Model
) -> None:
    await clinic.opens()
    wecom.say(PERSON, "我睡不着")
    await until(lambda: len(clinic.told()) == 1)
    wecom.grab(PERSON, "lisi")
    await until(lambda: clinic.holders() == ["wecom:lisi"])
    wecom.end(PERSON)
    await until(lambda: clinic.holders() == [])
    assert clinic.platform_holders() == [None]
    wecom.say(PERSON, "我又来了")
    await until(lambda: clinic.told()[1:] == ["收到：我又来了"])


async def test_a_voice_that_a_colleague_hears_is_not_excused_by_us_later(
    clinic: Clinic, wecom: WeCom, model: Model
) -> None:
    await clinic.opens()
    wecom.say(PERSON, "我睡不着")
    await until(lambda: len(clinic.told()) == 1)
    wecom.grab(PERSON, "lisi")
    await until(lambda: clinic.holders() == ["wecom:lisi"])
    wecom.show(PERSON, kind="voice")
    await until(lambda: clinic.stored() == 2)
    wecom.end(PERSON)
    await until(lambda: clinic.holders() == [])
    wecom.say(PERSON, "我又来了")
    await until(lambda: clinic.told()[1:] == ["收到：我又来了"])


async def test_a_colleagues_own_words_are_a_sign_too(clinic: Clinic, wecom: WeCom, model: Model) -> None:
    await clinic.opens()
    wecom.say(PERSON, "我睡不着")
    await until(lambda: len(clinic.told()) == 1)
    wecom.grab(PERSON, "lisi", tells=False)
    wecom.servicer_says(PERSON, "lisi", "你好，我是李老师")
    await until(lambda: clinic.holders() == ["wecom:lisi"])


async def test_in_acute_danger_our_words_come_first_and_then_a_colleague(
    clinic: Clinic, wecom: WeCom, model: Model
) -> None:
    wecom.set_duty("wangwu", is_on_duty=True)
    await clinic.opens(wecom_servicers="lisi,wangwu")
    wecom.say(PERSON, ACUTE)
    await until(lambda: wecom.state(PERSON) == WITH_COLLEAGUE)
    assert "120" in clinic.told()[0]
    await until(lambda: clinic.holders() == ["wecom:wangwu"])
    wecom.say(PERSON, "我在楼顶")
    await until(lambda: clinic.stored() == 2)
    assert all(sent.state != WITH_COLLEAGUE for sent in wecom.seen(PERSON))


async def test_who_asks_for_a_human_gets_one(clinic: Clinic, wecom: WeCom, services: BotServices) -> None:
    wecom.set_duty("lisi", is_on_duty=True)
    await clinic.opens(wecom_servicers="lisi")
    wecom.say(PERSON, "转人工")
    await until(lambda: wecom.state(PERSON) == WITH_COLLEAGUE)
    (said,) = clinic.told()
    assert said == services.inbox.rules.gate.say("handover_here")


async def test_without_a_colleague_on_duty_the_answer_says_nothing_of_one(
    clinic: Clinic, wecom: WeCom, services: BotServices
) -> None:
    await clinic.opens(wecom_servicers="lisi")
    wecom.say(PERSON, "转人工")
    await until(lambda: len(clinic.told()) == 1)
    assert "值班的同事" not in clinic.told()[0]
    assert wecom.calls["kf/service_state/trans"] == 0


async def test_who_is_on_duty_is_followed(clinic: Clinic, wecom: WeCom) -> None:
    await clinic.opens(wecom_servicers="lisi")
    listings = wecom.calls["kf/servicer/list"]
    wecom.set_duty("lisi", is_on_duty=True)
    await until(lambda: wecom.calls["kf/servicer/list"] > listings)
    wecom.say("wmPERSON02", "转人工")
    await until(lambda: wecom.state("wmPERSON02") == WITH_COLLEAGUE)


async def test_an_end_of_which_nobody_told_is_found_by_asking(
    clinic: Clinic, wecom: WeCom, services: BotServices
) -> None:
    await clinic.opens(wecom_servicers="lisi")
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.stored() == 1)
    wecom.grab(PERSON, "lisi")
    await until(lambda: clinic.platform_holders() == ["wecom:lisi"])
    wecom._sessions["wkAAAA0001", PERSON].state = ENDED
    wecom.set_duty("lisi", is_on_duty=True)  # which makes it look
    await until(lambda: clinic.platform_holders() == [None])


async def test_a_wish_that_nobody_fulfils_is_told_to_the_admins(
    clinic: Clinic, wecom: WeCom, services: BotServices
) -> None:
    wecom.set_duty("lisi", is_on_duty=True)
    await clinic.opens(wecom_servicers="lisi")
    wecom.fault("kf/service_state/trans", 95014, times=10)
    wecom.say(PERSON, "转人工")
    await until(lambda: wecom.refusals[95014] >= 2)
    with services.database.read() as session:
        assert budgets.wanting_platform_humans(session, "wecom")
    wecom.forgive()
    await until(lambda: wecom.state(PERSON) == WITH_COLLEAGUE)
