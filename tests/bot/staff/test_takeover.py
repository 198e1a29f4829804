"""A human answers in the place of the model, and the person is told so."""

import pytest

from bot.services import BotServices
from dialogue.admin import audit
from dialogue.states import TurnState
from tests.bot.staff.chat import BOSS, OTHER, PERSON, order, owed, short, states, written
from tests.builders import message


@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
async def test_a_takeover_from_its_beginning_to_its_end(desk: BotServices) -> None:
    heard = await desk.inbox.receive(message("我睡不着"))
    taken, relayed = (await order(desk, f"/admin takeover {short(heard.conversation_id)} 夜班")).split("\n", 1)
    assert "已接手" in taken or "已接手" in relayed
    assert "我睡不着" in taken + relayed
    assert states(desk) == [TurnState.DISCARDED]
    assert owed(desk, PERSON) == [desk.texts.say("takeover_begins")]

    receipt = await desk.inbox.receive(message("你还在吗"))
    assert receipt.turn_id is None
    (relay,) = owed(desk, BOSS)
    assert relay.endswith("你还在吗")
    assert "✓" in await order(desk, "在的，慢慢说", reply_to_id=f"p-{relay}")
    assert "✓" in await order(desk, f"/admin say {short(heard.conversation_id)} 我在听")
    assert owed(desk, PERSON) == ["【真人咨询师】在的，慢慢说", "【真人咨询师】我在听"]

    assert "没有发给任何人" in await order(desk, "这句忘了回复")
    assert owed(desk, PERSON) == []
    await order(desk, "/admin release")
    assert owed(desk, PERSON) == [desk.texts.say("takeover_ends")]
    assert (await desk.inbox.receive(message("好的"))).turn_id is not None
    with desk.database.read() as session:
        done = [(entry.actor, entry.action, entry.reason) for entry in audit.entries(session)]
    assert done == [
        ("telegram:42", "release", None),
        ("telegram:42", "say", None),
        ("telegram:42", "say", None),
        ("telegram:42", "take_over", "夜班"),
    ]


async def test_an_answer_to_a_relayed_message_goes_to_the_person_even_if_it_reads_like_a_command(
    desk: BotServices,
) -> None:
    heard = await desk.inbox.receive(message("我能删掉这些吗"))
    await desk.inbox.receive(written(f"/admin takeover {short(heard.conversation_id)}"))
    (relay,) = [text for text in owed(desk, BOSS) if text.endswith("我能删掉这些吗")]
    assert "✓" in await order(desk, "删除我的数据", reply_to_id=f"p-{relay}")
    assert owed(desk, PERSON)[-1] == "【真人咨询师】删除我的数据"
    assert "已交还" in await order(desk, "/admin release", reply_to_id=f"p-{relay}")


async def test_a_human_is_not_contradicted_when_the_person_asks_who_is_there(desk: BotServices) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await order(desk, f"/admin takeover {short(heard.conversation_id)}")
    owed(desk, PERSON)
    await desk.inbox.receive(message("你是真人吗"))
    assert owed(desk, PERSON) == []
    assert owed(desk, BOSS)[-1].endswith("你是真人吗")


async def test_danger_in_a_conversation_that_a_human_holds_is_still_answered_and_told(desk: BotServices) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await order(desk, f"/admin takeover {short(heard.conversation_id)}")
    owed(desk, PERSON)
    await desk.inbox.receive(message("我今晚就想结束自己"))
    assert "120" in "".join(owed(desk, PERSON))
    told = owed(desk, BOSS)
    assert any("等级 3" in text and text.endswith("我今晚就想结束自己") for text in told)
    assert any("/admin takeover" in text for text in told)
    await desk.inbox.receive(message("嗯"))
    assert owed(desk, PERSON) == []  # the human speaks; we do not go on beside them


async def test_what_cannot_be_read_is_mentioned_to_who_holds_the_conversation(desk: BotServices) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await order(desk, f"/admin takeover {short(heard.conversation_id)}")
    await desk.inbox.excuse(message(""))
    assert "原件还在对方的应用里" in owed(desk, BOSS)[-1]


@pytest.mark.parametrize("words", ["结束对话", "/reset", "撤回同意"])
async def test_the_person_may_end_a_conversation_that_a_human_holds(desk: BotServices, words: str) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await order(desk, f"/admin takeover {short(heard.conversation_id)}")
    await desk.inbox.receive(message(words))
    assert "接手已经结束" in owed(desk, BOSS)[-1]
    again = await desk.inbox.receive(message("又来了"))
    assert again.conversation_id != heard.conversation_id
    assert owed(desk, BOSS) == []
    assert "已经结束" in await order(desk, f"/admin say {short(heard.conversation_id)} 在吗")


async def test_who_leaves_while_a_human_answers_is_reported(desk: BotServices) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await order(desk, f"/admin takeover {short(heard.conversation_id)}")
    await desk.inbox.leave(PERSON)
    assert "接手已经结束" in owed(desk, BOSS)[-1]


async def test_mistakes_in_a_takeover_are_explained_and_change_nothing(desk: BotServices) -> None:
    heard = await desk.inbox.receive(message("你好"))
    whom = short(heard.conversation_id)
    assert "先接手" in await order(desk, f"/admin say {whom} 你好")
    assert "先接手" in await order(desk, f"/admin release {whom}")
    await order(desk, f"/admin takeover {whom}")
    assert "已经在接手" in await order(desk, f"/admin takeover {whom}")
    assert "telegram:42 正在接手" in await order(desk, f"/admin takeover {whom}", by=OTHER)
    assert "没有要说的" in await order(desk, f"/admin say {whom}")
