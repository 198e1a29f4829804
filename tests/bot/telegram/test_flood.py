"""Many people at once, with Telegram's flood control on: all are answered, in order, and we keep to the limits.

`TEST_TELEGRAM_PEOPLE=300` makes it as large as a busy evening; that takes a minute, since 30 a second are allowed.
"""

import os
from collections.abc import Callable

from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.flood import Flood
from tests.bot.telegram.loopback import Telegram
from tests.bot.telegram.test_deaths import lines_of
from tests.patience import wait_until

PEOPLE = int(os.environ.get("TEST_TELEGRAM_PEOPLE", "40"))
MESSAGES = 5


def test_a_crowd_is_answered_in_order_within_the_limits(open_clinic: Callable[..., Clinic], telegram: Telegram) -> None:
    telegram.flood = Flood(chat_seconds=1.0, per_second=30)
    clinic = open_clinic(
        MINDGLM_LOG_LEVEL="INFO",
        MINDGLM_SCRIPTED_DELAY_SECONDS="0.2",
        MINDGLM_TELEGRAM_MESSAGES_PER_SECOND="30",
        MINDGLM_TELEGRAM_CHAT_MESSAGES_PER_SECOND="1",
    ).open()
    for number in range(MESSAGES):
        for who in range(1, PEOPLE + 1):
            telegram.write(who, f"第{number}句")
    wait_until(lambda: clinic.stored() == PEOPLE * MESSAGES and clinic.is_quiet(), 30 + PEOPLE * MESSAGES / 20)
    expected = [f"第{number}句" for number in range(MESSAGES)]
    answered = {who: lines_of(telegram.texts(who)) for who in range(1, PEOPLE + 1)}
    assert answered == dict.fromkeys(answered, expected)
    assert telegram.flood.most_in_a_second <= 30
    assert telegram.flood.refused == 0


def test_a_token_wide_flood_wait_is_no_storm(open_clinic: Callable[..., Clinic], telegram: Telegram) -> None:
    """Telegram refuses everything for three seconds: a few requests learn it, the others wait."""
    open_clinic(MINDGLM_TELEGRAM_MESSAGES_PER_SECOND="30").open()
    telegram.flood = Flood(per_second=0, retry_after=3)
    for who in range(1, 41):
        telegram.write(who, "在吗")
    wait_until(lambda: telegram.flood.refused >= 2, 20)
    refused = telegram.flood.refused
    telegram.flood.per_second = None
    telegram.flood.closed_until.clear()
    wait_until(lambda: all(telegram.sent[who] for who in range(1, 41)), 30)
    assert refused <= telegram.flood.refused <= 8
    assert all(telegram.texts(who) == ["收到：在吗"] for who in range(1, 41))
