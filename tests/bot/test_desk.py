"""Admins watch over conversations from their own chat; to everybody else `/admin` is no command at all."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from bot.room import Room
from dialogue import people, schema, sending
from dialogue.admin import audit
from dialogue.commands import Command
from dialogue.database import connect, sqlite_url
from dialogue.messages import Address, InboundMessage
from dialogue.settings import DialogueSettings
from dialogue.states import DeliveryKind, TurnState
from dialogue.tables import Conversation, Message, Person, Turn
from dialogue.vault import PersonKey, new_secret
from tests.builders import Rooms, message

BOSS = Address(channel="telegram", chat_id="42")
OTHER = Address(channel="telegram", chat_id="43")
PERSON = Address(channel="test", chat_id="小王")
ME = UUID(int=1)


@pytest.fixture(params=["sqlite"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> DialogueSettings:
    is_sqlite = request.param == "sqlite"
    url = sqlite_url(tmp_path / "bot.db") if is_sqlite else request.getfixturevalue("postgres_database")()
    return DialogueSettings(
        home=tmp_path,
        database_url=SecretStr(url),
        broker_url=SecretStr(redis_url),
        secret_key=SecretStr(new_secret()),
        max_message_length=100,
        consent="off",
        messages_per_minute=0,
        admins="telegram:42, telegram:43",
    )


@pytest.fixture
def desk(settings: DialogueSettings) -> Iterator[Room]:
    assert settings.database_url is not None
    database = connect(settings.database_url.get_secret_value())
    schema.upgrade(database)
    database.close()
    room = Room.open(settings)
    yield room
    room.close()


def written(text: str, *, by: Address = BOSS, reply_to_id: str | None = None) -> InboundMessage:
    return InboundMessage(
        address=by,
        account="bot",
        user_id=by.chat_id,
        external_id=uuid4().hex,
        text=text,
        sent_at=datetime(2026, 11, 21, tzinfo=UTC),
        reply_to_id=reply_to_id,
    )


def owed(room: Room, address: Address) -> list[str]:
    """What is owed there now, as the platform takes it; each is sent, and known as its own text's hash."""
    rooms = Rooms(room.database, room.keys)
    texts: list[str] = []
    rooms.clock.tick(365 * 86400)
    while True:
        with room.database.begin() as session:
            claimed = sending.claim_due(
                session,
                room.keys,
                address.channel,
                owner=ME,
                lease_seconds=60,
                limit=9,
                now=rooms.clock(),
                chat_id=address.chat_id,
            )
            for one in claimed:
                sending.mark_sent(session, one.id, owner=ME, platform_message_id=f"p-{one.text}", now=rooms.clock())
        if not claimed:
            return texts
        texts += [one.text for one in claimed]


async def order(room: Room, text: str, *, by: Address = BOSS, reply_to_id: str | None = None) -> str:
    """An admin's message and the answer to it."""
    owed(room, by)
    receipt = await room.inbox.receive(written(text, by=by, reply_to_id=reply_to_id))
    assert receipt.turn_id is None
    return "\n".join(owed(room, by))


def short(conversation_id: UUID | None) -> str:
    assert conversation_id is not None
    return conversation_id.hex[:14]


def states(room: Room) -> list[TurnState]:
    with room.database.read() as session:
        return list(session.scalars(select(Turn.state).order_by(Turn.id)))


async def test_to_everybody_else_it_is_a_command_that_does_not_exist(desk: Room) -> None:
    receipt = await desk.inbox.receive(message("/admin status"))
    assert receipt.command is Command.UNKNOWN
    assert owed(desk, PERSON) == [desk.texts.say("command_unknown")]


async def test_in_a_group_an_admin_is_like_everybody_else(desk: Room) -> None:
    in_group = replace(written("/admin status"), address=Address(channel="telegram", chat_id="-7/42"))
    assert (await desk.inbox.receive(in_group)).command is Command.UNKNOWN


async def test_help_and_status_and_sessions_tell_how_it_is_going(desk: Room) -> None:
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


async def test_an_admin_may_talk_with_the_bot_as_anyone_does(desk: Room) -> None:
    receipt = await desk.inbox.receive(written("我今天有点累"))
    assert receipt.turn_id is not None


@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
async def test_a_takeover_from_its_beginning_to_its_end(desk: Room) -> None:
    heard = await desk.inbox.receive(message("我睡不着"))
    taken, relayed = (await order(desk, f"/admin takeover {short(heard.conversation_id)} 夜班")).split("\n", 1)
    assert "已接手" in taken or "已接手" in relayed
    assert "我睡不着" in taken + relayed
    assert states(desk) == [TurnState.DISCARDED]
    assert owed(desk, PERSON) == [desk.texts.say("takeover_begins")]

    receipt = await desk.inbox.receive(message("你还在吗"))
    assert receipt.turn_id is None
    assert receipt.channels == {"telegram"}
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


async def test_an_answer_to_a_relayed_message_goes_to_the_person_even_if_it_reads_like_a_command(desk: Room) -> None:
    heard = await desk.inbox.receive(message("我能删掉这些吗"))
    await desk.inbox.receive(written(f"/admin takeover {short(heard.conversation_id)}"))
    (relay,) = [text for text in owed(desk, BOSS) if text.endswith("我能删掉这些吗")]
    assert "✓" in await order(desk, "删除我的数据", reply_to_id=f"p-{relay}")
    assert owed(desk, PERSON)[-1] == "【真人咨询师】删除我的数据"
    assert "已交还" in await order(desk, "/admin release", reply_to_id=f"p-{relay}")


async def test_a_human_is_not_contradicted_when_the_person_asks_who_is_there(desk: Room) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await order(desk, f"/admin takeover {short(heard.conversation_id)}")
    owed(desk, PERSON)
    await desk.inbox.receive(message("你是真人吗"))
    assert owed(desk, PERSON) == []
    assert owed(desk, BOSS)[-1].endswith("你是真人吗")


async def test_danger_in_a_conversation_that_a_human_holds_is_still_answered_and_told(desk: Room) -> None:
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


async def test_what_cannot_be_read_is_mentioned_to_who_holds_the_conversation(desk: Room) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await order(desk, f"/admin takeover {short(heard.conversation_id)}")
    await desk.inbox.excuse(message(""))
    assert "图片" in owed(desk, BOSS)[-1]


@pytest.mark.parametrize("words", ["结束对话", "/reset", "撤回同意"])
async def test_the_person_may_end_a_conversation_that_a_human_holds(desk: Room, words: str) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await order(desk, f"/admin takeover {short(heard.conversation_id)}")
    await desk.inbox.receive(message(words))
    assert "接手已经结束" in owed(desk, BOSS)[-1]
    again = await desk.inbox.receive(message("又来了"))
    assert again.conversation_id != heard.conversation_id
    assert owed(desk, BOSS) == []
    assert "已经结束" in await order(desk, f"/admin say {short(heard.conversation_id)} 在吗")


async def test_who_leaves_while_a_human_answers_is_reported(desk: Room) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await order(desk, f"/admin takeover {short(heard.conversation_id)}")
    await desk.inbox.leave(PERSON)
    assert "接手已经结束" in owed(desk, BOSS)[-1]


async def test_danger_alarms_the_admins_in_the_same_breath(desk: Room) -> None:
    receipt = await desk.inbox.receive(message("我最近一直想自杀"))
    assert receipt.channels == {"telegram"}
    for admin in (BOSS, OTHER):
        (alert,) = owed(desk, admin)
        assert "等级 2" in alert
        assert "自杀" not in alert
    await desk.inbox.receive(message("我还是想自杀"))
    assert owed(desk, BOSS) == []
    await desk.inbox.receive(message("我今晚就想结束自己"))
    assert "等级 3" in owed(desk, BOSS)[0]


async def test_alerts_can_be_turned_off_by_each_admin(desk: Room) -> None:
    assert "其他管理员" in await order(desk, "/admin alerts off")
    assert "没有任何管理员" in await order(desk, "/admin 提醒 关", by=OTHER)
    await desk.inbox.receive(message("我今晚就想结束自己"))
    assert owed(desk, BOSS) == []
    await order(desk, "/admin alerts on")
    await desk.inbox.receive(message("我今晚就想结束自己", who="小李"))
    assert len(owed(desk, BOSS)) == 1
    assert "on" in await order(desk, "/admin alerts")


async def test_a_blocked_person_is_told_once_a_day_and_answered_in_danger(desk: Room) -> None:
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


async def test_a_blocked_person_keeps_their_rights(desk: Room) -> None:
    await desk.inbox.receive(message("你好"))
    await order(desk, "/admin block test:小王")
    assert (await desk.inbox.receive(message("/export"))).command is Command.EXPORT
    assert (await desk.inbox.receive(message("删除我的数据"))).command is Command.DELETE
    assert (await desk.inbox.receive(message("确认删除"))).command is Command.CONFIRM_DELETE


async def test_danger_of_a_blocked_person_is_answered_and_we_stay(desk: Room) -> None:
    await desk.inbox.receive(message("广告"))
    await order(desk, "/admin block test:小王")
    await desk.inbox.receive(message("我今晚就想结束自己"))
    assert "120" in "".join(owed(desk, PERSON))
    assert "等级 3" in "".join(owed(desk, BOSS))
    await desk.inbox.receive(message("嗯"))
    (next_step,) = owed(desk, PERSON)
    assert "不能使用" not in next_step


def person_key(room: Room, user_id: str) -> PersonKey:
    with room.database.read() as session:
        return people.key_of(session, room.keys, _person(room, user_id))


def _person(room: Room, user_id: str) -> UUID:
    with room.database.read() as session:
        return session.scalars(select(Person.id).where(Person.user_id == user_id)).one()


async def test_a_reset_cancels_and_the_next_message_begins_anew(desk: Room) -> None:
    heard = await desk.inbox.receive(message("你好"))
    receipt = await desk.inbox.receive(written(f"/admin reset {short(heard.conversation_id)} 试用结束"))
    assert receipt.cancelled_turn_ids == [heard.turn_id]
    again = await desk.inbox.receive(message("你好"))
    assert again.conversation_id != heard.conversation_id
    assert "已结束" in await order(desk, "/admin reset person test:小王")
    third = await desk.inbox.receive(message("你好"))
    assert "已结束" in await order(desk, f"/admin close {short(third.conversation_id)}")
    assert owed(desk, PERSON) == [desk.texts.say("admin_closed")]


async def test_a_reset_of_all_asks_first_and_then_says_when_it_is_done(desk: Room) -> None:
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


async def test_reading_in_the_chat_is_refused_unless_the_setting_allows_it(desk: Room) -> None:
    heard = await desk.inbox.receive(message("谁也不许看见的话"))
    answer = await order(desk, f"/admin text {short(heard.conversation_id)}")
    assert "MINDGLM_ADMIN_TEXTS" in answer
    assert "谁也不许看见的话" not in answer


async def test_what_an_admin_reads_is_audited_and_sealed_with_the_persons_key(
    settings: DialogueSettings, desk: Room
) -> None:
    room = Room.open(settings.model_copy(update={"admin_texts": True}))
    heard = await room.inbox.receive(message("我睡不着"))
    answer = await order(room, f"/admin text {short(heard.conversation_id)} 督导")
    room.close()
    assert "对方：我睡不着" in answer
    with desk.database.read() as session:
        (entry,) = audit.entries(session, action="read")
    assert (entry.actor, entry.conversation_id, entry.reason) == ("telegram:42", heard.conversation_id, "督导")
    relays = [row for row in Rooms(desk.database, desk.keys).deliveries() if row.kind is DeliveryKind.RELAY]
    assert [row.person_id for row in relays] == [_person(desk, "小王")]


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
async def test_what_cannot_be_done_is_explained(desk: Room, text: str, answer: str) -> None:
    assert answer in await order(desk, text)


async def test_mistakes_in_a_takeover_are_explained_and_change_nothing(desk: Room) -> None:
    heard = await desk.inbox.receive(message("你好"))
    whom = short(heard.conversation_id)
    assert "先接手" in await order(desk, f"/admin say {whom} 你好")
    assert "先接手" in await order(desk, f"/admin release {whom}")
    await order(desk, f"/admin takeover {whom}")
    assert "已经在接手" in await order(desk, f"/admin takeover {whom}")
    assert "telegram:42 正在接手" in await order(desk, f"/admin takeover {whom}", by=OTHER)
    assert "没有要说的" in await order(desk, f"/admin say {whom}")


async def test_orders_repeated_by_the_platform_are_carried_out_once(desk: Room) -> None:
    heard = await desk.inbox.receive(message("你好"))
    await order(desk, f"/admin takeover {short(heard.conversation_id)}")
    said = written(f"/admin say {short(heard.conversation_id)} 在")
    await desk.inbox.receive(said)
    assert (await desk.inbox.receive(said)).is_repeat
    assert owed(desk, PERSON)[1:] == ["【真人咨询师】在"]
