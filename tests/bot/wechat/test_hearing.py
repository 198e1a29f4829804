"""What becomes of messages: an adapter on a real gRPC puppet service, a real broker and SQLite."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text, update
from structlog.testing import capture_logs

from bot.channels.wechat import intake
from bot.channels.wechat.puppet import Happening
from bot.channels.wechat.reading import Form
from bot.services import BotServices
from dialogue.core import unparsed
from dialogue.core.unparsed import KeptUpdate
from dialogue.states import DeliveryState
from dialogue.storage.clock import utc_now
from dialogue.storage.vault import KEY_ID_BYTES
from dialogue.tables import PEOPLE, Feedback, Message
from tests.bot.busy import GIVES_UP_SOON, failures_of
from tests.bot.wechat.gateway import BOT, TOKEN, Gateway
from tests.builders import Rooms
from tests.patience import until

Start = Callable[..., Any]

YEAR_MS = 365 * 86_400_000


def stored(services: BotServices) -> list[Message]:
    with services.database.read() as session:
        return list(session.scalars(select(Message).order_by(Message.id)))


def chats(services: BotServices) -> list[str]:
    """Where there are turns to answer, oldest first."""
    rooms = Rooms(services.database, services.keys)
    conversation_ids = dict.fromkeys(message.conversation_id for message in stored(services) if message.turn_id)
    return [rooms.conversation(one).chat_id for one in conversation_ids if one is not None]


def words(services: BotServices) -> list[str]:
    """What waits for the model, turn by turn."""
    rooms = Rooms(services.database, services.keys)
    conversation_ids = dict.fromkeys(message.conversation_id for message in stored(services) if message.turn_id)
    claimed = [rooms.claim(one) for one in conversation_ids if one is not None]
    return [turn.text for turn in claimed if turn is not None]


def ratings(services: BotServices) -> list[Feedback]:
    with services.database.read() as session:
        return list(session.scalars(select(Feedback)))


async def test_words_of_a_friend_are_stored_for_the_model(
    services: BotServices, gateway: Gateway, start: Start
) -> None:
    await start(gateway)
    gateway.say("我睡不着", who="wxid_wang")
    await until(lambda: stored(services))
    (message,) = stored(services)
    assert (message.account, message.external_id) == (BOT, "message-1")
    assert chats(services) == ["wxid_wang"]
    assert words(services) == ["我睡不着"]


async def test_messages_are_taken_in_in_the_order_in_which_they_came(
    services: BotServices, gateway: Gateway, start: Start
) -> None:
    await start(gateway)
    for number in range(30):
        gateway.say(f"第{number}句")
    await until(lambda: len(stored(services)) == 30)
    (heard,) = words(services)
    assert heard.splitlines() == [f"第{number}句" for number in range(30)]


async def test_on_a_slow_line_different_people_are_taken_in_at_the_same_time_and_each_in_order(
    services: BotServices, durable_gateway: Gateway, start: Start
) -> None:
    await start(durable_gateway)
    durable_gateway.delay_seconds, durable_gateway.jitter_seconds = 0.05, 0.1
    people = [f"wxid_{number}" for number in range(8)]
    for number in range(5):
        for who in people:
            durable_gateway.say(f"{who}的第{number}句", who=who)
    await until(lambda: len(durable_gateway.acknowledged) == 40)
    assert sorted(words(services)) == ["\n".join(f"{who}的第{number}句" for number in range(5)) for who in people]
    assert durable_gateway.most_at_once > 4


@GIVES_UP_SOON
async def test_a_message_is_acknowledged_only_when_it_is_stored(
    services: BotServices, durable_gateway: Gateway, start: Start, tmp_path: Path
) -> None:
    await start(durable_gateway)
    blocker = create_engine(f"sqlite:///{tmp_path / 'bot.db'}")
    failures = failures_of(services)
    with blocker.connect() as connection:
        connection.execute(text("BEGIN EXCLUSIVE"))
        durable_gateway.say("我睡不着")
        await until(lambda: failures)
        assert durable_gateway.acknowledged == []
        connection.rollback()
    blocker.dispose()
    await until(lambda: durable_gateway.acknowledged == ["message-1"])
    assert len(stored(services)) == 1


async def test_what_was_said_while_we_were_away_is_heard(
    services: BotServices, durable_gateway: Gateway, start: Start
) -> None:
    durable_gateway.say("有人吗", timestamp=1_700_000_000_000)
    await start(durable_gateway)
    await until(lambda: words(services) == ["有人吗"])


async def test_what_was_said_while_the_line_was_broken_is_heard(
    services: BotServices, durable_gateway: Gateway, start: Start
) -> None:
    await start(durable_gateway)
    durable_gateway.kill()
    durable_gateway.say("有人吗")
    durable_gateway.start()
    await until(lambda: stored(services))
    assert durable_gateway.calls.count("Stop") == 0


async def test_a_message_that_is_told_three_times_is_stored_once(
    services: BotServices, durable_gateway: Gateway, start: Start
) -> None:
    await start(durable_gateway)
    message_id = durable_gateway.say("我睡不着")
    durable_gateway.tell(message_id)
    await until(lambda: stored(services))
    durable_gateway.tell(message_id)
    durable_gateway.say("还在吗")
    await until(lambda: "message-2" in durable_gateway.acknowledged)
    assert len(stored(services)) == 2
    assert set(durable_gateway.acknowledged) == {"message-1", "message-2"}


@pytest.mark.parametrize(
    "message",
    [
        {"text": "我自己说的", "who": BOT},
        {"text": "公众号", "who": "gh_051c89260e5d"},
        {"text": "系统", "who": "weixin"},
        {"text": "没有人", "who": ""},
        {"text": "撤回了一条消息", "form": Form.RECALLED},
        {"text": "你已添加了小王", "form": Form.UNKNOWN},
        {"text": "新的种类", "form": 99},
        {"text": "去年说的", "timestamp": 1_700_000_000_000},
        {"text": "去年说的", "timestamp": 1_700_000_000},
        {"text": "群里", "room": "1@chatroom", "mention_ids": [BOT]},
    ],
)
async def test_what_nobody_says_to_us_is_ignored(
    services: BotServices, gateway: Gateway, start: Start, message: dict[str, Any]
) -> None:
    await start(gateway)
    gateway.say(**message)
    gateway.say("你好")
    await until(lambda: stored(services))
    assert words(services) == ["你好"]
    assert len(stored(services)) == 1


async def test_what_is_ignored_is_not_repeated_for_ever(
    services: BotServices, durable_gateway: Gateway, start: Start
) -> None:
    await start(durable_gateway)
    durable_gateway.say("公众号", who="gh_051c89260e5d")
    await until(lambda: durable_gateway.acknowledged == ["message-1"])
    assert stored(services) == []


async def test_an_official_account_is_known_by_its_contact_too(
    services: BotServices, gateway: Gateway, start: Start
) -> None:
    gateway.contact_types["wxid_news"] = 2
    await start(gateway)
    gateway.say("今日新闻", who="wxid_news")
    gateway.say("你好")
    await until(lambda: stored(services))
    assert chats(services) == ["wxid_wang"]


async def test_in_rooms_only_mentions_are_heard_and_each_person_has_a_conversation(
    services: BotServices, gateway: Gateway, start: Start
) -> None:
    await start(gateway, wechat_rooms=True)
    gateway.say("大家好", room="1@chatroom")
    gateway.say("@助手\u2005我很难过", room="1@chatroom", mention_ids=[BOT])
    gateway.say(f"@name of {BOT}\u2005我也是", who="wxid_li", room="1@chatroom")
    await until(lambda: len(stored(services)) == 2)
    assert chats(services) == ["1@chatroom/wxid_wang", "1@chatroom/wxid_li"]
    assert words(services)[0] == "我很难过"


async def test_what_is_no_text_is_excused_once_for_several(
    services: BotServices, gateway: Gateway, start: Start
) -> None:
    await start(gateway)
    for form in (Form.AUDIO, Form.IMAGE, Form.EMOTICON):
        gateway.say("<msg/>", form=form)
    (excuse,) = await asyncio.to_thread(gateway.wait_for, 1)
    await until(lambda: len(stored(services)) == 3)
    gateway.say("结束对话")
    assert (await asyncio.to_thread(gateway.wait_for, 2))[0] == excuse
    assert len(gateway.texts()) == 2
    assert "文字" in excuse


async def test_a_friend_request_is_accepted_with_the_opening_words_if_the_setting_says_so(
    gateway: Gateway, start: Start
) -> None:
    await start(gateway, wechat_accepts_friends=True)
    request = gateway.befriend("wxid_new")
    (opening,) = await asyncio.to_thread(gateway.wait_for, 1, to="wxid_new")
    assert gateway.accepted == [request]
    assert "不是真人" in opening


async def test_a_friend_request_from_while_we_were_away_is_accepted_once(
    services: BotServices, durable_gateway: Gateway, start: Start
) -> None:
    request = durable_gateway.befriend("wxid_new")
    running = await start(durable_gateway, wechat_accepts_friends=True)
    await until(lambda: durable_gateway.settled == [request])
    await running.stop()
    await start(durable_gateway, wechat_accepts_friends=True)
    durable_gateway.happen(Happening.FRIENDSHIP, friendshipId=request)  # told once more, as after a lost answer
    await until(lambda: durable_gateway.settled == [request] * 2)
    await asyncio.to_thread(durable_gateway.wait_for, 1, to="wxid_new")
    assert len(stored(services)) == 1
    durable_gateway.say("结束对话", who="wxid_new")
    await asyncio.to_thread(durable_gateway.wait_for, 2, to="wxid_new")
    assert len(durable_gateway.texts("wxid_new")) == 2


async def test_a_friend_request_waits_for_a_database_that_is_away(
    services: BotServices, durable_gateway: Gateway, start: Start, tmp_path: Path
) -> None:
    await start(durable_gateway, wechat_accepts_friends=True)
    blocker = create_engine(f"sqlite:///{tmp_path / 'bot.db'}")
    with blocker.connect() as connection:
        connection.execute(text("BEGIN EXCLUSIVE"))
        request = durable_gateway.befriend("wxid_new")
        await until(lambda: durable_gateway.accepted)
        assert durable_gateway.settled == []
        connection.rollback()
    blocker.dispose()
    await until(lambda: durable_gateway.settled == [request])
    await asyncio.to_thread(durable_gateway.wait_for, 1, to="wxid_new")


async def test_a_friend_request_that_the_puppet_refuses_is_left_to_a_human(
    services: BotServices, durable_gateway: Gateway, start: Start
) -> None:
    request = durable_gateway.befriend("wxid_new")
    durable_gateway.refuses_friends = True
    await start(durable_gateway, wechat_accepts_friends=True)
    await until(lambda: durable_gateway.settled == [request])
    assert stored(services) == []


async def test_otherwise_a_friend_request_waits_for_a_human(
    services: BotServices, durable_gateway: Gateway, start: Start
) -> None:
    await start(durable_gateway)
    request = durable_gateway.befriend("wxid_new")
    durable_gateway.say("你好")
    await until(lambda: stored(services))
    await until(lambda: durable_gateway.settled == [request])
    assert durable_gateway.accepted == []
    assert durable_gateway.texts("wxid_new") == []


@pytest.mark.parametrize(("said", "value"), [("有帮助", 1), ("没帮助", -1)])
async def test_two_words_rate_the_last_reply_and_are_heard_like_any_others(
    services: BotServices, gateway: Gateway, start: Start, said: str, value: int
) -> None:
    await start(gateway)
    gateway.say("我睡不着")
    await until(lambda: stored(services))
    conversation_id = stored(services)[0].conversation_id
    assert conversation_id is not None
    rooms = Rooms(services.database, services.keys)
    rooms.clock.now = stored(services)[0].received_at
    turn = rooms.claimed(conversation_id, owner=conversation_id)
    rooms.complete(turn, "试试放松", owner=conversation_id)
    await asyncio.to_thread(gateway.wait_for, 1)
    await until(lambda: [delivery.state for delivery in rooms.deliveries()] == [DeliveryState.SENT])
    gateway.say(said)
    await until(lambda: len(stored(services)) == 2)
    await until(lambda: ratings(services))
    (feedback,) = ratings(services)
    assert (feedback.turn_id, feedback.value) == (turn.id, value)
    assert words(services) == [said]


async def test_words_wait_for_a_master_key_that_this_process_was_not_given(
    services: BotServices, gateway: Gateway, start: Start
) -> None:
    await start(gateway)
    gateway.say("在吗")
    await until(lambda: len(stored(services)) == 1)
    with services.database.begin() as session:
        (person,) = session.execute(select(PEOPLE)).all()
        session.execute(update(PEOPLE).values(data_key=b"else" + person.data_key[KEY_ID_BYTES:]))
    with capture_logs() as logs:
        gateway.say("我想自杀")
        await until(lambda: sum(entry["event"] == "wechat_intake_retries" for entry in logs) >= 3)
    with services.database.begin() as session:
        session.execute(update(PEOPLE).values(data_key=person.data_key))
    await until(lambda: len(stored(services)) == 2)


async def test_what_breaks_our_reading_is_kept_for_staff(
    services: BotServices, gateway: Gateway, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start(gateway)

    def breaks(*_: object, **__: object) -> None:
        raise KeyError("我的话")

    monkeypatch.setattr(intake, "read", breaks)
    gateway.say("我今晚就跳楼", who="wxid_wang")

    def kept() -> list[KeptUpdate]:
        with services.database.read() as session:
            return unparsed.kept(session, limit=9)

    await until(kept)
    (one,) = kept()
    assert (one.user_id, one.error) == ("wxid_wang", "KeyError")
    with services.database.begin() as session:
        assert "我今晚就跳楼" in (unparsed.read(session, services.keys, one.id, now=utc_now()) or ("", ""))[1]


async def test_a_message_that_cannot_be_read_does_not_hold_up_the_others(
    services: BotServices, gateway: Gateway, start: Start
) -> None:
    await start(gateway)
    gateway.tell("nobody knows it")
    gateway.say("你好")
    await until(lambda: words(services) == ["你好"])


async def test_neither_words_nor_the_token_are_in_the_log(
    services: BotServices,
    gateway: Gateway,
    start: Start,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("grpclib", "h2", "hpack"):
        logging.getLogger(name).disabled = False
    await start(gateway)
    gateway.say("月亮背面的秘密")
    gateway.say("月亮背面的秘密", form=Form.AUDIO)
    await asyncio.to_thread(gateway.wait_for, 1)
    await until(lambda: len(stored(services)) == 2)
    logged = caplog.text + "".join(capfd.readouterr())
    assert "月亮" not in logged
    assert TOKEN not in logged
