"""Admins watch over conversations from their own chat; to everybody else `/admin` is no command at all."""

from dataclasses import replace

import pytest

from bot.services import BotServices
from dialogue.core.commands import Command
from dialogue.messages import Address
from tests.bot.staff.chat import PERSON, order, owed, short, written
from tests.builders import message


async def test_to_everybody_else_it_is_a_command_that_does_not_exist(desk: BotServices) -> None:
    receipt = await desk.inbox.receive(message("/admin status"))
    assert receipt.command is Command.UNKNOWN
    assert owed(desk, PERSON) == [desk.texts.say("command_unknown")]


async def test_in_a_group_an_admin_is_like_everybody_else(desk: BotServices) -> None:
    in_group = replace(written("/admin status"), address=Address(channel="telegram", chat_id="-7/42"), is_private=False)
    assert (await desk.inbox.receive(in_group)).command is Command.UNKNOWN


async def test_help_and_status_and_sessions_tell_how_it_is_going(desk: BotServices) -> None:
    assert "/admin takeover" in await order(desk, "/admin")
    assert "/admin takeover" in await order(desk, "/admin nonsense")
    assert "没有进行中的对话" in await order(desk, "/admin sessions")
    heard = await desk.inbox.receive(message("我睡不着"))
    assert "等待回复：1" in await order(desk, "/admin status")
    listed = await order(desk, "/管理 对话")
    assert heard.conversation_id is not None
    assert heard.conversation_id.hex[:8] in listed
    assert "我睡不着" not in listed
    shown = await order(desk, f"/admin show {short(heard.conversation_id)}")
    assert "test:小王" in shown
    assert "我睡不着" not in shown


async def test_an_admin_may_talk_with_the_bot_as_anyone_does(desk: BotServices) -> None:
    receipt = await desk.inbox.receive(written("我今天有点累"))
    assert receipt.turn_id is not None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/admin reset", "没有找到这段对话"),
        ("/admin show 0000", "没有找到这段对话"),
        ("/admin block", "没有找到这个人"),
        ("/admin block telegram:42", "不能拉黑管理员"),
        ("/admin release", "没有找到这段对话"),
        ("/admin say 0000 你好", "没有找到这段对话"),
    ],
)
async def test_what_cannot_be_done_is_explained(desk: BotServices, text: str, answer: str) -> None:
    assert answer in await order(desk, text)


async def test_orders_repeated_by_the_platform_are_carried_out_once(desk: BotServices) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await order(desk, f"/admin takeover {short(heard.conversation_id)}")
    said = written(f"/admin say {short(heard.conversation_id)} 在")
    await desk.inbox.receive(said)
    assert (await desk.inbox.receive(said)).is_repeat
    assert owed(desk, PERSON)[1:] == ["【真人咨询师】在"]
