"""When all threads of intake are busy, the danger in the words says who is next, before the database is asked."""

import asyncio
import threading

import pytest
from sqlalchemy import select

from bot.executors import PriorityExecutor
from bot.incoming.urgency import screen_at_length
from bot.services import BotServices
from care.screening import Tier
from dialogue.tables import MESSAGES, PEOPLE
from tests.bot.inboxes import inbox_beside
from tests.builders import message

ACUTE = "我今晚就想结束自己"
ACTIVE = "我最近一直想自杀"


@pytest.mark.parametrize(
    ("length", "place"), [(5_000, 0.5), (9_000, 0.5), (32_000, 0.3), (32_000, 0.7), (300_000, 0.0), (300_000, 1.0)]
)
def test_danger_is_found_anywhere_in_what_is_too_long(length: int, place: float) -> None:
    before = int(length * place)
    assert screen_at_length("好" * before + f"。{ACUTE}。" + "好" * (length - before)).tier is Tier.ACUTE


async def test_the_most_dangerous_words_are_next_also_those_of_an_edited_message(services: BotServices) -> None:
    executor, gate = PriorityExecutor("intake", threads=1), threading.Event()
    inbox = inbox_beside(services, executor=executor)
    busy = asyncio.create_task(executor.run(lambda: gate.wait(30)))
    await asyncio.sleep(0)
    coming = [
        asyncio.create_task(call)
        for call in (
            inbox.receive(message("在吗", who="小王")),
            inbox.excuse(message("", who="小张")),
            inbox.receive(message(ACTIVE, who="小赵")),
            inbox.receive(message("很长" * 500 + ACUTE, who="小李")),
            inbox.revise(message(ACUTE, who="小周"), original_id="不在了"),
        )
    ]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(busy, *coming)
    with services.database.read() as session:
        stored = session.execute(select(PEOPLE.c.user_id).join(MESSAGES).order_by(MESSAGES.c.id)).scalars().all()
    assert stored == ["小李", "小周", "小赵", "小王", "小张"]
    executor.close()
