"""What a person sees while a reply is on its way, and how a long one arrives."""

from collections.abc import Callable

import pytest

from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram
from tests.bot.telegram.test_splitting import utf16_units
from tests.bot.telegram.wire import BOT
from tests.patience import wait_until

LONG_REPLY = "我在听，你慢慢说。这几天很难熬吧。谢谢你愿意告诉我。你不用急着回答。我都会听着。"
WHO, OTHER = 7001, 7002
GROUP = {"id": -7003, "type": "supergroup", "title": "组"}


@pytest.fixture
def slow(open_clinic: Callable[..., Clinic]) -> Callable[..., Clinic]:
    def open_slow(**environment: str) -> Clinic:
        return open_clinic(
            MINDGLM_SCRIPTED_DELAY_SECONDS="4",
            MINDGLM_SCRIPTED_REPLY=LONG_REPLY,
            MINDGLM_TELEGRAM_GROUPS="true",
            **environment,
        ).open()

    return open_slow


def test_in_a_private_chat_the_reply_grows_in_a_draft_and_comes_as_one_message(
    slow: Callable[..., Clinic], telegram: Telegram
) -> None:
    clinic = slow()
    telegram.write(WHO, "你好")
    assert clinic.wait_for(WHO, 1) == [LONG_REPLY]
    drafts = telegram.drafts[WHO]
    assert telegram.actions[WHO] or drafts
    assert 2 <= len(drafts) <= 5  # about one a second
    assert drafts == sorted(set(drafts), key=len)
    assert all(LONG_REPLY.startswith(draft) for draft in drafts)
    assert telegram.draft(WHO) is None
    assert len(telegram.sent[WHO][0].versions) == 1


def test_where_drafts_are_not_known_a_placeholder_is_edited(slow: Callable[..., Clinic], telegram: Telegram) -> None:
    telegram.drafts_are_known = False
    clinic = slow()
    telegram.write(WHO, "你好")
    wait_until(lambda: telegram.texts(WHO) == [LONG_REPLY], 30)
    (sent,) = telegram.sent[WHO]
    assert len(sent.versions) >= 2
    assert sent.versions[0].endswith("…")
    assert len(sent.buttons) == 2
    telegram.write(OTHER, "你好")
    wait_until(lambda: telegram.texts(OTHER) == [LONG_REPLY], 30)
    assert telegram.count("sendMessageDraft") == 1  # one refusal was enough
    wait_until(clinic.is_quiet, 10)


def test_in_a_group_a_placeholder_is_edited(slow: Callable[..., Clinic], telegram: Telegram) -> None:
    slow()
    telegram.message(WHO, GROUP, text=f"@{BOT['username']} 你好")
    wait_until(lambda: telegram.texts(-7003) == [LONG_REPLY], 30)
    assert not telegram.drafts[-7003]


def test_an_adapter_that_is_killed_after_the_placeholder_finishes_it_later(
    slow: Callable[..., Clinic], telegram: Telegram
) -> None:
    telegram.drafts_are_known = False
    clinic = slow(MINDGLM_LEASE_SECONDS="10")
    telegram.write(WHO, "你好")
    wait_until(lambda: len(telegram.sent[WHO]) == 1 and len(telegram.sent[WHO][0].versions) >= 2, 20)
    clinic.kill_adapters()
    clinic.start_adapter()
    wait_until(lambda: telegram.texts(WHO) == [LONG_REPLY], 40)
    assert len(telegram.sent[WHO]) == 1


def test_a_placeholder_whose_turn_ended_while_no_adapter_ran_is_taken_down_by_the_next(
    slow: Callable[..., Clinic], telegram: Telegram
) -> None:
    telegram.drafts_are_known = False
    clinic = slow()
    telegram.write(OTHER, "你好")
    wait_until(lambda: telegram.texts(OTHER) == [LONG_REPLY] and clinic.is_quiet(), 30)
    telegram.write(WHO, "你好")
    wait_until(lambda: len(telegram.sent[WHO]) == 1 and len(telegram.sent[WHO][0].versions) >= 2, 20)
    clinic.kill_adapters()
    assert clinic.end_conversations() == 2
    clinic.start_adapter()
    wait_until(lambda: telegram.texts(WHO) == [], 20)
    assert telegram.texts(OTHER) == [LONG_REPLY]


def test_a_final_edit_whose_answer_is_lost_is_repeated_without_harm(
    slow: Callable[..., Clinic], telegram: Telegram
) -> None:
    telegram.drafts_are_known = False
    clinic = slow()
    telegram.write(WHO, "你好")
    wait_until(lambda: len(telegram.sent[WHO]) == 1, 20)
    telegram.fault("editMessageText", "lose", count=4)
    wait_until(lambda: telegram.texts(WHO) == [LONG_REPLY] and clinic.is_quiet(), 90)
    assert len(telegram.sent[WHO]) == 1


def test_a_long_reply_comes_in_parts_with_the_buttons_under_the_last(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    reply = "".join(f"这是我说的第{number}句话了，但我还有{number}件事想多说一点😀。" for number in range(500))
    clinic = open_clinic(MINDGLM_SCRIPTED_REPLY=reply, MINDGLM_MAX_REPLY_TOKENS="100000").open()
    telegram.write(WHO, "你好")
    wait_until(clinic.is_quiet, 30)
    wait_until(lambda: "".join(telegram.texts(WHO)) == reply, 20)
    parts = telegram.sent[WHO]
    assert len(parts) >= 3
    assert all(utf16_units(part.text) <= 4096 for part in parts)
    assert all(part.text.endswith("。") for part in parts)
    assert [len(part.buttons) for part in parts] == [0] * (len(parts) - 1) + [2]


def test_a_reset_takes_back_the_parts_that_were_not_sent(
    open_clinic: Callable[..., Clinic], telegram: Telegram
) -> None:
    clinic = open_clinic(
        MINDGLM_SCRIPTED_REPLY="".join(f"这是第{number}句，还有很多。" for number in range(1_500)),
        MINDGLM_MAX_REPLY_TOKENS="100000",
        MINDGLM_TELEGRAM_CHAT_MESSAGES_PER_SECOND="0.5",
    ).open()
    telegram.write(WHO, "你好")
    clinic.wait_for(WHO, 1)
    telegram.write(WHO, "结束对话")
    wait_until(lambda: any("照顾好自己" in text for text in telegram.texts(WHO)), 20)
    wait_until(clinic.is_quiet, 20)
    assert len(telegram.sent[WHO]) <= 3
