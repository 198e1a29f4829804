"""What a verified account says: within the budget, in order, once, and never twice where nobody knows its fate."""

import pytest
from sqlalchemy import select

from bot.services import BotServices
from dialogue.admin import find
from dialogue.admin.cases.opening import UNSENT_LEVEL
from dialogue.core import unparsed
from dialogue.states import TurnState
from dialogue.tables import Conversation, Turn
from tests.bot.contract.model import Model
from tests.bot.oa.clinic import PERSON, OaClinic
from tests.bot.oa.loopback import OfficialAccount
from tests.patience import until

ACUTE = "我今晚就想结束自己"
ADMIN = "oAdmin"


@pytest.fixture(autouse=True)
def _has_an_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_ADMINS", f"oa:{ADMIN}")


def short_id(services: BotServices, person: str = PERSON) -> str:
    with services.database.read() as session:
        of_person = select(Conversation.id).where(Conversation.chat_id == person)
        return find.short_id(session, session.scalars(of_person).one())


async def test_words_arrive_as_utf_8_and_name_the_message_that_they_answer(
    clinic: OaClinic, account: OfficialAccount, model: Model
) -> None:
    await clinic.opens()
    message_id = account.say(PERSON, "我睡不着]]>🫂")
    await until(lambda: clinic.told() == ["收到：我睡不着]]>🫂"])
    assert account.seen(PERSON)[0].answers == message_id
    assert not [body for body in account.bodies if b"\\u" in body]


async def test_control_characters_that_nobody_can_read_are_left_out(
    clinic: OaClinic, account: OfficialAccount, model: Model
) -> None:
    model.says = lambda _text: "好\x00的\x0b。"
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["好的。"])


async def test_a_message_that_comes_three_times_at_once_is_one(
    clinic: OaClinic, account: OfficialAccount, model: Model
) -> None:
    account.nastiness.parallel_every = 1
    await clinic.opens()
    for number in range(3):
        account.say(PERSON, f"第{number}句")
        await until(lambda number=number: clinic.stored() == number + 1)  # type: ignore[misc]  # a default binds it
    await until(lambda: "".join(clinic.told()).count("句") == 3)
    assert account.lost == []


@pytest.mark.parametrize("kind", ["drop_after", "status"])
async def test_words_whose_fate_is_unknown_are_not_said_again(
    clinic: OaClinic, account: OfficialAccount, model: Model, kind: str
) -> None:
    account.fault("message/custom/send", kind)
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: clinic.fates() == [("failed", "unknown")])
    account.say(PERSON, "还在吗")
    await until(lambda: clinic.told()[-1:] == ["收到：还在吗"])


async def test_crisis_words_whose_fate_is_unknown_are_said_again(clinic: OaClinic, account: OfficialAccount) -> None:
    account.fault("message/custom/send", "drop_after", times=2)  # of them and of the alert
    await clinic.opens()
    account.say(PERSON, ACUTE)
    await until(lambda: len(clinic.told()) == 2)
    assert all("120" in text for text in clinic.told())


@pytest.mark.parametrize("code", [40001, 40014, 42001])
async def test_a_token_that_ended_is_renewed_and_the_words_are_said_once(
    clinic: OaClinic, account: OfficialAccount, model: Model, code: int
) -> None:
    account.fault("message/custom/send", code)
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])


async def test_words_for_which_no_token_could_be_fetched_never_left_and_are_said_later(
    clinic: OaClinic, account: OfficialAccount, model: Model
) -> None:
    await clinic.opens()
    account.fault("message/custom/send", 42001)
    account.fault("stable_token", "drop_after")
    account.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    await until(lambda: clinic.states() == ["sent"])


async def test_beyond_five_messages_the_rest_is_said_after_the_next_word(
    clinic: OaClinic, account: OfficialAccount, model: Model
) -> None:
    await clinic.opens()
    account.spent.add(PERSON)
    account.say(PERSON, "我睡不着")
    await until(lambda: clinic.states() == ["held"])
    account.spent.clear()
    account.say(PERSON, "还在吗")
    await until(lambda: clinic.told()[:1] == ["收到：我睡不着"])
    assert account.refusals[45047]


async def test_crisis_words_beyond_the_budget_open_a_case_and_come_first(
    clinic: OaClinic, account: OfficialAccount, model: Model
) -> None:
    """How soon an admin hears of it is measured in `rehearsal.py`."""
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: len(clinic.told()) == 1)
    account.spent.add(PERSON)
    account.say(PERSON, ACUTE)
    await until(lambda: "held" in clinic.states())
    assert clinic.case_levels() == [UNSENT_LEVEL]
    account.spent.clear()
    account.say(PERSON, "在吗")
    await until(lambda: len(clinic.told()) > 1)
    assert "120" in clinic.told()[1]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (40003, "unknown_person"),
        (45015, "window_closed"),
        (43004, "forbidden"),
        (43019, "forbidden"),
        (48002, "forbidden"),
    ],
)
async def test_words_that_can_never_arrive_are_marked_with_the_reason(
    clinic: OaClinic, account: OfficialAccount, model: Model, code: int, reason: str
) -> None:
    account.fault("message/custom/send", code)
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: clinic.fates() == [("failed", reason)])


async def test_what_wechat_finds_too_long_is_said_in_smaller_parts(
    clinic: OaClinic, account: OfficialAccount, model: Model
) -> None:
    reply = "慢慢来，你已经做得很好了。" * 40
    model.says = lambda _text: reply
    account.fault("message/custom/send", 45002)
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: "".join(clinic.told()) == reply)
    assert len(clinic.told()) == 2
    await until(lambda: clinic.states() == ["sent"])


async def test_who_unfollows_is_sent_nothing_more(
    clinic: OaClinic, account: OfficialAccount, services: BotServices
) -> None:
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: clinic.stored() == 1)
    account.unfollow(PERSON)
    await until(lambda: len(account.acknowledged) == 2)
    account.follow(PERSON)
    await until(lambda: len(clinic.told()) == 1)
    with services.database.read() as session:
        assert session.scalars(select(Turn.state)).all() == [TurnState.DISCARDED]


async def test_while_they_wait_people_see_that_we_are_typing(clinic: OaClinic, account: OfficialAccount) -> None:
    await clinic.opens()
    before = account.calls["message/custom/typing"]
    account.say(PERSON, "我睡不着")
    await until(lambda: account.calls["message/custom/typing"] > before)
    assert account.refusals[45081] == account.refusals[45080] == 0


async def test_what_wechat_understood_of_a_voice_is_answered(
    clinic: OaClinic, account: OfficialAccount, model: Model
) -> None:
    await clinic.opens()
    account.show(PERSON, "voice", Recognition="我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])


@pytest.mark.parametrize("kind", ["voice", "image"])
async def test_what_a_person_shows_is_shown_to_the_admin_who_holds_the_conversation(
    clinic: OaClinic, account: OfficialAccount, model: Model, services: BotServices, kind: str
) -> None:
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: clinic.told() == ["收到：我睡不着"])
    account.say(ADMIN, f"/admin phone {short_id(services)}")
    await until(lambda: services.texts.say("desk_no_phone") in "".join(clinic.told(ADMIN)))
    account.say(ADMIN, f"/admin takeover {short_id(services)}")
    await until(lambda: "你已接手" in "".join(clinic.told(ADMIN)))
    account.show(PERSON, kind, content=b"what was shown")
    await until(lambda: [one.file for one in account.seen(ADMIN) if one.kind == kind] == [b"what was shown"])
    await until(lambda: services.texts.say("error_not_text_but_shown") in "".join(clinic.told()))


async def test_a_place_is_not_kept(clinic: OaClinic, account: OfficialAccount, services: BotServices) -> None:
    await clinic.opens()
    account.show(PERSON, "location", Location_X="23.137466", Location_Y="113.352425", Label="天河区")
    await until(lambda: len(clinic.told()) == 1)
    assert "文字" in clinic.told()[0]
    account.event(PERSON, "LOCATION", pays=False, Latitude="23.137466", Longitude="113.352425")
    await until(lambda: len(account.acknowledged) == 2)
    assert clinic.stored() == 1


async def test_what_has_another_shape_is_kept_for_staff(
    clinic: OaClinic, account: OfficialAccount, services: BotServices
) -> None:
    await clinic.opens()
    message_id = account._push(PERSON, {"MsgType": "text", "CreateTime": "1"}, "24999")
    await until(lambda: message_id in account.acknowledged)
    with services.database.read() as session:
        assert unparsed.unread_count(session) == 1


async def test_the_menu_under_the_chat_is_made_once_and_its_buttons_are_commands(
    clinic: OaClinic, account: OfficialAccount, model: Model
) -> None:
    await clinic.opens()
    assert account.menu is not None
    assert [button["name"] for button in account.menu["button"]] == ["求助热线", "对话", "我的数据"]
    account.click(PERSON, "hotlines")
    await until(lambda: len(clinic.told()) == 1)
    assert "120" in clinic.told()[0]
    assert account.seen(PERSON)[0].is_passive


async def test_a_menu_that_the_operator_made_is_left_alone(clinic: OaClinic, account: OfficialAccount) -> None:
    account.menu = {"button": [{"type": "view", "name": "官网", "url": "http://x"}]}
    await clinic.opens()
    assert account.calls["menu/create"] == 0


async def test_a_click_does_not_shorten_what_a_message_has_paid_for(
    clinic: OaClinic, account: OfficialAccount, services: BotServices
) -> None:
    await clinic.opens()
    account.say(PERSON, "我睡不着")
    await until(lambda: clinic.stored() == 1)
    account.click(PERSON, "help")
    await until(lambda: len(clinic.told()) == 1)
    account.plus_seconds = 120
    model = Model(services)
    await model.finish(await model.begin())
    await until(lambda: "收到：我睡不着" in clinic.told())
