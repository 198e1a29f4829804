"""An admin ends one conversation, those of a person, or all."""

import time

from sqlalchemy import select

from bot.services import BotServices
from dialogue.states import TurnState
from dialogue.tables import Conversation
from tests.bot.staff.chat import BOSS, PERSON, order, owed, short, states, written
from tests.builders import message


async def test_a_reset_cancels_and_the_next_message_begins_anew(desk: BotServices) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await desk.inbox.receive(written(f"/admin reset {short(heard.conversation_id)} 试用结束"))
    assert states(desk) == [TurnState.DISCARDED]
    again = await desk.inbox.receive(message("你好"))
    assert again.conversation_id != heard.conversation_id
    assert "已结束" in await order(desk, "/admin reset person test:小王")
    third = await desk.inbox.receive(message("你好"))
    assert "已结束" in await order(desk, f"/admin close {short(third.conversation_id)}")
    assert owed(desk, PERSON) == [desk.texts.say("admin_closed")]


async def test_a_reset_of_all_asks_first_and_then_says_when_it_is_done(desk: BotServices) -> None:
    for number in range(3):
        await desk.inbox.receive(message("你好", who=f"人{number}"))
    assert "全部 3 段" in await order(desk, "/admin reset all")
    assert states(desk) == [TurnState.WAITING] * 3
    told = await order(desk, "/admin reset all yes")
    deadline = time.monotonic() + 10
    while "已结束 3 段" not in told and time.monotonic() < deadline:
        time.sleep(0.02)
        told += "\n".join(owed(desk, BOSS))
    assert "已结束 3 段" in told
    with desk.database.read() as session:
        assert session.scalars(select(Conversation.id).where(Conversation.closed_at.is_(None))).all() == []
