"""An admin ends one conversation, those of a person, or all."""

from sqlalchemy import select

from bot.services import BotServices
from dialogue.process.settings import DialogueSettings
from dialogue.states import TurnState
from dialogue.tables import Conversation
from tests.bot.staff.chat import BOSS, PERSON, order, owed, short, states, written
from tests.builders import message
from tests.patience import wait_until


def heard(desk: BotServices, told: list[str]) -> list[str]:
    """All that the admin was told, with what came since."""
    told += owed(desk, BOSS)
    return told


async def test_a_reset_cancels_and_the_next_message_begins_anew(desk: BotServices) -> None:
    words = await desk.inbox.receive(message("你好"))
    await desk.inbox.receive(written(f"/admin reset {short(words.conversation_id)} 试用结束"))
    assert states(desk) == [TurnState.DISCARDED]
    again = await desk.inbox.receive(message("你好"))
    assert again.conversation_id != words.conversation_id
    assert "已结束" in await order(desk, "/admin reset person test:小王")
    third = await desk.inbox.receive(message("你好"))
    assert "已结束" in await order(desk, f"/admin close {short(third.conversation_id)}")
    assert owed(desk, PERSON) == [desk.texts.say("admin_closed")]


async def test_a_reset_of_all_asks_first_and_then_says_when_it_is_done(desk: BotServices) -> None:
    for number in range(3):
        await desk.inbox.receive(message("你好", who=f"人{number}"))
    assert "全部 3 段" in await order(desk, "/admin reset all")
    assert states(desk) == [TurnState.WAITING] * 3
    told = [await order(desk, "/admin reset all yes")]
    wait_until(lambda: any("已结束 3 段" in text for text in heard(desk, told)))
    with desk.database.read() as session:
        assert session.scalars(select(Conversation.id).where(Conversation.closed_at.is_(None))).all() == []


async def test_a_reset_of_all_goes_on_after_a_restart_and_is_reported_once(
    desk: BotServices, settings: DialogueSettings
) -> None:
    for number in range(3):
        await desk.inbox.receive(message("你好", who=f"人{number}"))
    desk.resets.stop()  # as SIGTERM does
    assert "已经开始" in await order(desk, "/admin reset all yes")
    assert states(desk) == [TurnState.WAITING] * 3
    restarted = BotServices.open(settings)
    try:
        told: list[str] = []
        wait_until(lambda: heard(desk, told))
    finally:
        restarted.close()
    assert [text for text in told if "已结束 3 段" in text] == told
    assert states(desk) == [TurnState.DISCARDED] * 3
