"""When all threads of intake are busy, the danger in the words says who is next, before the database is asked."""

import asyncio
import threading

from sqlalchemy import select

from bot.executors import PriorityExecutor
from bot.services import BotServices
from dialogue.tables import MESSAGES, PEOPLE
from tests.bot.inboxes import inbox_beside
from tests.builders import message

ACUTE = "我今晚就想结束自己"
ACTIVE = "我最近一直想自杀"


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
