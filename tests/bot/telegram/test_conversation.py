"""A person on Telegram talks with the bot: real adapter, worker, broker and database; only Telegram is ours."""

from collections.abc import Callable

from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram

ANNA, BORIS = 1001, 1002


def test_words_are_answered(open_clinic: Callable[..., Clinic], telegram: Telegram) -> None:
    clinic = open_clinic().open()
    telegram.write(ANNA, "我睡不着")
    assert clinic.wait_for(ANNA, 1) == ["收到：我睡不着"]
