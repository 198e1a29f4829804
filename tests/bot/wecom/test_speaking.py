"""What is said: once, within the five, in menus, by codes; and what WeCom's refusals lead to."""

import pytest

from bot.services import BotServices
from dialogue.states import DeliveryState
from tests.bot.contract.model import Model
from tests.bot.wecom.clinic import PERSON, Clinic
from tests.bot.wecom.loopback import WeCom
from tests.patience import until

ACUTE = "我今晚就想结束自己"


async def test_a_text_whose_answer_was_lost_is_sent_again_and_seen_once(
    clinic: Clinic, wecom: WeCom, model: Model
) -> None:
    await clinic.opens()
    wecom.fault("kf/send_msg", "drop_after")
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.states() == ["sent"])
    assert clinic.told() == ["收到：我睡不着"]
    assert wecom.calls["kf/send_msg"] == 2


@pytest.mark.parametrize("duplicate", [(40058, "invalid Request Parameter"), (95099, "oops"), (40096, "msgid exists")])
async def test_whatever_says_that_an_id_is_known_a_repeat_counts_as_sent(
    clinic: Clinic, wecom: WeCom, model: Model, duplicate: tuple[int, str]
) -> None:
    wecom.duplicate = duplicate
    await clinic.opens()
    wecom.fault("kf/send_msg", "drop_after")
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.states() == ["sent"])
    assert clinic.told() == ["收到：我睡不着"]


async def test_a_first_try_that_is_refused_is_not_taken_for_a_repeat(
    clinic: Clinic, wecom: WeCom, model: Model
) -> None:
    await clinic.opens()
    wecom.fault("kf/send_msg", 40058, message="invalid parameter")
    wecom.say(PERSON, "我睡不着")
    await until(lambda: [(one.state, one.error) for one in clinic.deliveries()] == [("failed", "bad_parameter")])


async def test_what_exceeds_the_budget_goes_on_when_the_person_writes(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    whole = "慢慢来，你已经做得很好了。" * 300
    model.says = lambda text: whole if text == "说说看" else "好"
    await clinic.opens()
    wecom.say(PERSON, "说说看")
    more = services.texts.say("delivery_more_waits")
    await until(lambda: len(clinic.told()) == 4 and clinic.told()[-1].endswith(more))
    wecom.say(PERSON, "继续")
    await until(lambda: set(clinic.states()) <= {"sent", "joined"})
    assert "".join(clinic.told()).replace(f"\n\n{more}", "").replace("\n\n好", "").removesuffix("好") == whole
    assert max(sent.number for sent in wecom.seen(PERSON)) <= 5


async def test_crisis_words_at_a_spent_budget_alarm_at_once_and_are_said_first_after_the_next_word(
    clinic: Clinic, wecom: WeCom, model: Model
) -> None:
    await clinic.opens()
    wecom.say(PERSON, "在吗")
    await until(lambda: len(clinic.told()) == 1)
    wecom.fault("kf/send_msg", 95001, times=1)
    wecom.say(PERSON, ACUTE)
    await until(lambda: "held" in clinic.states())
    wecom.say(PERSON, "你还在吗")
    await until(lambda: len(clinic.told()) >= 2)
    assert "120" in clinic.told()[1]


async def test_a_session_that_a_colleague_grabs_silences_us_and_is_said(clinic: Clinic, wecom: WeCom) -> None:
    model = Model(clinic.services)
    runtime = await clinic.opens()
    wecom.say(PERSON, "我睡不着")
    turn = await model.begin()
    wecom.grab(PERSON, "lisi", tells=False)
    await model.finish(turn)
    await until(lambda: clinic.states() == ["held"])
    assert clinic.platform_holders() == ["wecom:lisi"]
    assert clinic.holders() == ["wecom:lisi"]
    assert any("95018" in fault for fault in runtime.faults())
    assert clinic.told() == []


async def test_a_closed_session_waits_for_the_person(clinic: Clinic, wecom: WeCom) -> None:
    model = Model(clinic.services)
    await clinic.opens()
    wecom.say(PERSON, "我睡不着")
    turn = await model.begin()
    wecom.end(PERSON)
    await model.finish(turn)
    await until(lambda: clinic.states() == ["held"])
    wecom.say(PERSON, "在吗")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    await model.finish(await model.begin())
    await until(lambda: clinic.told()[1:] == ["收到：在吗"])


@pytest.mark.parametrize(
    ("code", "hint"), [(60020, "企业可信IP"), (95003, "verified"), (40201, "banned"), (48002, "可调用接口的应用")]
)
async def test_what_the_operator_must_mend_is_said_and_the_text_stays_owed(
    clinic: Clinic, wecom: WeCom, model: Model, code: int, hint: str
) -> None:
    runtime = await clinic.opens()
    wecom.fault("kf/send_msg", code, message="not allow, from ip: 203.0.113.7, hint")
    wecom.say(PERSON, "我睡不着")
    await until(lambda: any(hint in fault for fault in runtime.faults()))
    await until(lambda: clinic.states() == ["pending"])


async def test_a_text_that_did_not_arrive_is_marked_and_an_admin_sees_why(
    clinic: Clinic, wecom: WeCom, model: Model
) -> None:
    await clinic.opens()
    wecom.bounce_types = [13]
    wecom.say(PERSON, "我睡不着")
    await until(lambda: [(one.state, one.error) for one in clinic.deliveries()] == [("bounced", "safety_limit")])


async def test_somebody_who_refuses_us_has_left(clinic: Clinic, wecom: WeCom, model: Model) -> None:
    await clinic.opens()
    wecom.bounce_types = [10]
    wecom.say(PERSON, "我睡不着")
    await until(lambda: clinic.states() == ["bounced"])
    wecom.say(PERSON, "我又来了")
    await until(lambda: clinic.told() == ["收到：我又来了"])


async def test_a_choice_under_a_reply_renews_what_may_be_sent(
    clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
) -> None:
    model.says = lambda text: "慢慢来，你已经做得很好了。" * 300 if text == "说说看" else "好"
    await clinic.opens()
    wecom.say(PERSON, "好吗")
    await until(lambda: clinic.told() == ["好"])
    wecom.say(PERSON, "说说看")
    await until(lambda: "held" in clinic.states())
    wecom.choose(PERSON, 0)
    await until(lambda: "held" not in clinic.states() and "pending" not in clinic.states())


class TestBeforeConsent:
    @pytest.fixture
    def asks_consent(self) -> bool:
        return True

    async def test_whoever_enters_is_asked_within_the_code_and_answers_in_the_menu(
        self, clinic: Clinic, wecom: WeCom, model: Model, services: BotServices
    ) -> None:
        await clinic.opens()
        wecom.enter(PERSON, scene="library-poster")
        await until(lambda: len(clinic.told()) == 1)
        (asked,) = wecom.seen(PERSON)
        assert asked.number == 0
        assert asked.choices == ["consent:adult", "consent:minor", "consent:child", "consent:decline"]
        assert services.inbox.rules.gate.notice.text.replace("\n", "") in asked.text.replace("\n", "")
        wecom.choose(PERSON, 0)
        await until(lambda: len(clinic.told()) == 2)
        wecom.say(PERSON, "我睡不着")
        await until(lambda: any("收到：我睡不着" in text for text in clinic.told()))

    async def test_an_entry_that_comes_too_late_is_not_welcomed_by_its_code(self, clinic: Clinic, wecom: WeCom) -> None:
        wecom.plus_seconds = -30
        wecom.enter(PERSON)
        wecom.plus_seconds = 0
        await clinic.opens()
        wecom.say(PERSON, "你好")
        await until(lambda: len(clinic.told()) == 1)
        assert wecom.calls["kf/send_msg_on_event"] == 0

    async def test_a_code_that_is_refused_leaves_the_notice_for_the_first_word(
        self, clinic: Clinic, wecom: WeCom
    ) -> None:
        await clinic.opens()
        wecom.fault("kf/send_msg_on_event", 95019)
        wecom.enter(PERSON)
        await until(lambda: [one.state for one in clinic.deliveries()] == [DeliveryState.HELD])
        wecom.say(PERSON, "你好")
        await until(lambda: len(clinic.told()) == 1)
        assert wecom.seen(PERSON)[0].choices
