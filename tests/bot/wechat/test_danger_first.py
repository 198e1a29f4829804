"""Nothing that others do holds up the words for somebody in danger: neither what is slow to fetch nor to take in."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from bot.services import BotServices
from dialogue.tables import MESSAGES
from tests.bot.wechat.gateway import Gateway
from tests.patience import until

Start = Callable[..., Any]
DANGER = "我今晚就想结束自己"
IN_DANGER = "wxid_danger"


async def test_crisis_words_wait_for_none_of_80_slow_messages(
    services: BotServices, gateway: Gateway, start: Start
) -> None:
    gate, intake = threading.Event(), services.executors.intake
    await start(gateway)
    slow = [asyncio.create_task(intake.run(lambda: gate.wait(60))) for _ in range(80)]
    for number in range(80):
        gateway.say("在吗", who=f"wxid_{number}")
    gateway.say(DANGER, who=IN_DANGER)
    try:
        await until(lambda: gateway.texts(IN_DANGER), 2)
        assert not any(task.done() for task in slow)
    finally:
        gate.set()
        await asyncio.gather(*slow)


async def test_crisis_words_wait_for_none_of_what_is_slow_to_fetch(
    services: BotServices, durable_gateway: Gateway, start: Start
) -> None:
    await start(durable_gateway)
    durable_gateway.say("你好", who="wxid_earlier")
    await until(lambda: durable_gateway.acknowledged)
    durable_gateway.held.add("message-2")
    assert durable_gateway.say("我说得很慢", who="wxid_slow") == "message-2"
    durable_gateway.say("在吗", who="wxid_calm")
    durable_gateway.say(DANGER, who=IN_DANGER)
    await until(lambda: durable_gateway.texts(IN_DANGER), 2)
    await until(lambda: durable_gateway.acknowledged == ["message-1", "message-4"])
    durable_gateway.say("现在说完了", who="wxid_slow")
    await until(lambda: durable_gateway.calls.count("MessagePayload") == 5)
    durable_gateway.held.clear()
    await until(lambda: len(durable_gateway.acknowledged) == 5)
    with services.database.read() as session:
        stored = session.scalars(select(MESSAGES.c.external_id).order_by(MESSAGES.c.id)).all()
    assert stored[:2] == ["message-1", "message-4"]
    assert stored.index("message-2") < stored.index("message-5")  # of one person; who else waited may come in between
