"""A blocked person is kept out, but for their rights and for danger."""

from sqlalchemy import select

from bot.services import BotServices
from dialogue.core.commands import Command
from dialogue.states import TurnState
from dialogue.tables import Message
from tests.bot.staff.chat import BOSS, PERSON, order, owed, person_key, short, states
from tests.builders import message


async def test_a_blocked_person_is_told_once_a_day_and_answered_in_danger(desk: BotServices) -> None:
    heard = await desk.inbox.receive(message("广告"))
    assert "已拉黑" in await order(desk, f"/admin block {short(heard.conversation_id)} 广告")
    assert states(desk) == [TurnState.DISCARDED]
    for _ in range(3):
        assert (await desk.inbox.receive(message("加微信"))).turn_id is None
    (kept_out,) = owed(desk, PERSON)
    assert "12356" in kept_out
    await order(desk, "/admin unblock test:小王")
    assert (await desk.inbox.receive(message("你好"))).turn_id is not None
    with desk.database.read() as session:
        stored = session.scalars(select(Message).where(Message.turn_id.is_(None))).all()
    key = person_key(desk, "小王")
    assert not any(
        "微信" in key.open(row.text, row=row.id, column="messages.text")
        for row in stored
        if row.text and row.channel == "test"
    )


async def test_a_blocked_person_keeps_their_rights(desk: BotServices) -> None:
    await desk.inbox.receive(message("你好"))
    await order(desk, "/admin block test:小王")
    assert (await desk.inbox.receive(message("/export"))).command is Command.EXPORT
    assert (await desk.inbox.receive(message("删除我的数据"))).command is Command.DELETE
    assert (await desk.inbox.receive(message("确认删除"))).command is Command.CONFIRM_DELETE


async def test_danger_of_a_blocked_person_is_answered_and_we_stay(desk: BotServices) -> None:
    await desk.inbox.receive(message("广告"))
    await order(desk, "/admin block test:小王")
    await desk.inbox.receive(message("我今晚就想结束自己"))
    assert "120" in "".join(owed(desk, PERSON))
    assert "等级 3" in "".join(owed(desk, BOSS))
    await desk.inbox.receive(message("嗯"))
    (next_step,) = owed(desk, PERSON)
    assert "不能使用" not in next_step
