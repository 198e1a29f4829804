"""What a person sees while no worker has begun to answer: here none is there at first."""

from collections.abc import Callable

import pytest

from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram
from tests.bot.telegram.wire import BOT
from tests.patience import wait_until

WHO, OTHER = 8001, 8002
GROUP = {"id": -8003, "type": "supergroup", "title": "组"}


@pytest.fixture
def clinic(open_clinic: Callable[..., Clinic]) -> Clinic:
    """Without a worker."""
    clinic = open_clinic(MINDGLM_WAITING_NOTICE_SECONDS="1", MINDGLM_TELEGRAM_GROUPS="true")
    clinic.start_adapter().wait_ready()
    return clinic


def test_in_a_private_chat_a_draft_tells_the_place_in_the_line_and_the_reply_takes_its_place(
    clinic: Clinic, telegram: Telegram
) -> None:
    telegram.write(WHO, "我睡不着")
    wait_until(lambda: clinic.stored() == 1, 10)
    telegram.write(OTHER, "我也是")
    wait_until(lambda: "下一位" in (telegram.draft(WHO) or ""), 10)
    wait_until(lambda: "还有 1 位" in (telegram.draft(OTHER) or ""), 10)
    clinic.start_worker()
    for who, answer in ((WHO, "收到：我睡不着"), (OTHER, "收到：我也是")):
        assert clinic.wait_for(who, 1) == [answer]
        assert telegram.draft(who) is None
        assert len(telegram.sent[who][0].versions) == 1


def test_in_a_group_a_message_tells_it_which_the_reply_replaces(clinic: Clinic, telegram: Telegram) -> None:
    place = -8003
    telegram.message(WHO, GROUP, text=f"@{BOT['username']} 我睡不着")
    assert "下一位" in clinic.wait_for(place, 1)[0]
    clinic.start_worker()
    wait_until(lambda: telegram.texts(place) == ["收到：我睡不着"], 30)
    assert len(telegram.sent[place]) == 1


def test_who_ends_the_conversation_waits_no_more_and_the_message_goes(clinic: Clinic, telegram: Telegram) -> None:
    telegram.drafts_are_known = False
    telegram.write(WHO, "我睡不着")
    assert "下一位" in clinic.wait_for(WHO, 1)[0]
    telegram.write(WHO, "结束对话")
    wait_until(lambda: len(telegram.texts(WHO)) == 1 and "照顾好自己" in telegram.texts(WHO)[0], 20)


def test_words_of_danger_are_answered_and_no_line_is_spoken_of(clinic: Clinic, telegram: Telegram) -> None:
    telegram.write(WHO, "我最近一直想自杀")
    wait_until(lambda: clinic.stored() == 1, 10)
    telegram.write(OTHER, "我睡不着")
    wait_until(lambda: "还有 1 位" in (telegram.draft(OTHER) or ""), 10)
    assert "12356" in telegram.texts(WHO)[0]
    assert not any("位" in draft for draft in telegram.drafts[WHO])
