"""手机接管: an admin asks for a colleague in the WeCom app, or danger does; the admins hear when nobody comes."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.channels.wecom import colleagues
from bot.services import BotServices
from dialogue.admin import find
from dialogue.admin.audit import Action
from dialogue.core import budgets
from dialogue.tables import AuditEntry, Conversation
from tests.bot.contract.model import Model
from tests.bot.wecom.clinic import PERSON, Clinic
from tests.bot.wecom.loopback import WITH_COLLEAGUE, WeCom
from tests.builders import message
from tests.patience import until

ADMIN = "wmADMIN"
ACUTE = "我今晚就想结束自己"


@pytest.fixture(autouse=True)
def _has_an_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_ADMINS", f"wecom:{ADMIN}")


def short_id(services: BotServices, person: str = PERSON) -> str:
    with services.database.read() as session:
        of_person = select(Conversation.id).where(Conversation.chat_id == person)
        return find.short_id(session, session.scalars(of_person).one())


def raised(services: BotServices) -> list[str]:
    """Why cases were opened, or raised again."""
    with services.database.read() as session:
        actions = (Action.CASE_OPENED, Action.CASE_RAISED)
        reasons = select(AuditEntry.reason).where(AuditEntry.action.in_(actions)).order_by(AuditEntry.id)
        return [str(reason).split()[0] for reason in session.scalars(reasons)]


def is_wanted(services: BotServices, person: str = PERSON) -> bool:
    with services.database.read() as session:
        return any(address.chat_id == person for address, _ in budgets.wanting_platform_humans(session, "wecom"))


async def test_an_admin_gives_a_chat_to_the_colleague_on_duty(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    wecom.set_duty("lisi", is_on_duty=True)
    await clinic.opens(wecom_servicers="lisi")
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    short = short_id(services)
    wecom.say(ADMIN, f"/admin phone {short}")
    await until(lambda: services.texts.say("desk_phone", id=short) in "".join(clinic.told(ADMIN)))
    await until(lambda: wecom.state(PERSON) == WITH_COLLEAGUE and clinic.holders() == ["wecom:lisi"])
    with services.database.read() as session:
        noted = session.execute(select(AuditEntry.actor, AuditEntry.action).order_by(AuditEntry.id)).all()
    assert (f"wecom:{ADMIN}", Action.HAND_OVER) in [tuple(row) for row in noted]
    wecom.say(PERSON, "你好")
    await until(lambda: clinic.stored() == 2)
    assert clinic.told() == ["收到：我睡不着"]


async def test_where_nobody_is_on_duty_the_admin_hears_it_and_is_asked_no_more(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colleagues, "_PATIENCE", timedelta(0))
    await clinic.opens(wecom_servicers="lisi")
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    wecom.say(ADMIN, f"/admin phone {short_id(services)}")
    await until(lambda: "没有人值班" in "".join(clinic.told(ADMIN)))
    assert short_id(services) in next(text for text in clinic.told(ADMIN) if "没有人值班" in text)
    assert not is_wanted(services)
    assert wecom.calls["kf/service_state/trans"] == 0


async def test_before_two_minutes_are_over_a_colleague_who_comes_gets_the_chat_and_nobody_is_alarmed(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    await clinic.opens(wecom_servicers="lisi")
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    wecom.say(ADMIN, f"/admin phone {short_id(services)}")
    await until(lambda: is_wanted(services))
    wecom.set_duty("lisi", is_on_duty=True)
    await until(lambda: wecom.state(PERSON) == WITH_COLLEAGUE)
    assert "没有人值班" not in "".join(clinic.told(ADMIN))


async def test_a_colleague_who_is_not_on_duty_any_more_is_passed_over(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    wecom.set_duty("lisi", is_on_duty=True)
    wecom.set_duty("wangwu", is_on_duty=True)
    await clinic.opens(wecom_servicers="lisi,wangwu")
    wecom.fault("kf/service_state/trans", 95014)  # they have gone, and nobody told
    wecom.say(PERSON, ACUTE)
    await until(lambda: clinic.holders() == ["wecom:wangwu"])
    assert wecom.refusals[95014] == 1


async def test_danger_that_no_colleague_takes_alarms_the_admins(
    clinic: Clinic, wecom: WeCom, services: BotServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colleagues, "_PATIENCE", timedelta(0))
    wecom.set_duty("lisi", is_on_duty=True)
    await clinic.opens(wecom_servicers="lisi")
    wecom.say(ADMIN, "/admin status")
    await until(lambda: len(clinic.told(ADMIN)) == 1)
    wecom.fault("kf/service_state/trans", 95014, times=1000)
    wecom.say(PERSON, ACUTE)
    await until(lambda: "120" in "".join(clinic.told()))
    await until(lambda: "没有人值班" in "".join(clinic.told(ADMIN)))


async def test_crisis_words_that_wecom_takes_no_more_are_a_case_and_an_alarm_and_come_first_after_the_next_word(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    await clinic.opens()
    wecom.say(ADMIN, "/admin status")
    await until(lambda: len(clinic.told(ADMIN)) == 1)
    wecom.spent.add(PERSON)
    wecom.say(PERSON, ACUTE)
    await until(lambda: "held" in raised(services))
    await until(lambda: "安全提示没能发出" in "".join(clinic.told(ADMIN)))
    assert clinic.told() == []
    wecom.spent.clear()
    wecom.say(PERSON, "你还在吗")
    await until(lambda: clinic.told() != [])
    assert "120" in clinic.told()[0]
    assert "收到" not in clinic.told()[0]


@pytest.mark.parametrize("kind", ["voice", "image", "video", "file"])
async def test_what_a_person_shows_is_shown_to_the_admin_who_holds_the_conversation(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices, kind: str
) -> None:
    await clinic.opens()
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    wecom.say(ADMIN, f"/admin takeover {short_id(services)}")
    await until(lambda: "你已接手" in "".join(clinic.told(ADMIN)))
    wecom.show(PERSON, kind=kind, content=b"what was shown")
    await until(lambda: [one.file for one in wecom.seen(ADMIN) if one.kind == kind] == [b"what was shown"])
    await until(lambda: services.texts.say("takeover_shown") in "".join(clinic.told(ADMIN)))
    await until(lambda: services.texts.say("error_not_text_but_shown") in "".join(clinic.told()))


async def test_where_the_platform_has_no_colleagues_the_admin_is_told_so(
    clinic: Clinic, wecom: WeCom, services: BotServices
) -> None:
    await clinic.opens()
    services.inbox.receive_blocking(message("我睡不着", who="77"))
    wecom.say(ADMIN, f"/admin phone {short_id(services, '77')}")
    await until(lambda: services.texts.say("desk_no_phone") in "".join(clinic.told(ADMIN)))
