"""WeChat asks for consent by words, and what somebody wrote leaves their row in no log, message, key or error."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.channels.wechat.puppet import Happening
from bot.channels.wechat.reading import Form
from bot.services import BotServices
from tests.bot.wechat.gateway import Gateway
from tests.bot.wechat.test_hearing import stored, words
from tests.ears import Ears, chinese_in, files, leaks
from tests.patience import until

Start = Callable[..., Any]

WHO = "wxid_new"
BEFORE = "还没有同意就说出来的心里话"
DANGER = "我把药都买好了今晚就结束自己"
LONG = "长得不能再长的一段心事" * 20


@pytest.fixture
def asks_consent() -> bool:
    return True


@pytest.fixture
def heard(redis_url: str, tmp_path: Path) -> Iterator[Callable[[], bytes]]:
    """What went to Redis and into files since the test began."""
    with Ears(redis_url) as ears:
        yield lambda: ears.heard() + files(tmp_path)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text + "".join(capfd.readouterr())


async def test_a_new_friend_is_asked_and_answered_and_no_word_is_found_anywhere_else(
    services: BotServices, gateway: Gateway, start: Start, heard: Callable[[], bytes], logged: Callable[[], str]
) -> None:
    async def told(count: int) -> str:
        return (await asyncio.to_thread(gateway.wait_for, count, to=WHO))[-1]

    adapter = await start(gateway, wechat_accepts_friends=True)
    gateway.friend_requests["request"] = WHO
    gateway.happen(Happening.FRIENDSHIP, friendshipId="request")
    notice = await told(1)
    assert "AI生成" in notice
    assert "“同意”" in notice
    gateway.say(BEFORE, who=WHO)
    gateway.say("同意", who=WHO)
    assert await told(2) == services.texts.say("disclosure_agreed_held")
    assert words(services) == [BEFORE]
    gateway.say("", who=WHO, form=Form.IMAGE)
    gateway.say(LONG, who=WHO)
    await told(4)
    gateway.say(DANGER, who=WHO)
    assert "120" in await told(5)
    gateway.kill()
    kept = ""

    def has_noticed() -> bool:
        nonlocal kept
        kept += logged()
        return "wechat_connection_lost" in kept

    await until(has_noticed)
    await adapter.stop()

    assert len(stored(services)) == 6
    assert leaks([BEFORE, DANGER, LONG, *gateway.texts(WHO)], heard()) == []
    logs = kept + logged()
    assert "message_received" in logs
    assert chinese_in(logs) == []
