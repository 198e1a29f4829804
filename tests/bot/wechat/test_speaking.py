"""What becomes of texts that are owed: an adapter on a real gRPC puppet service."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from sqlalchemy import select
from structlog.testing import capture_logs

from bot.channels.wechat import CHANNEL
from bot.channels.wechat.puppet import Happening
from bot.outgoing.journal import Journal
from bot.services import BotServices
from dialogue.core import claiming, media_marks, outbox, people
from dialogue.messages import Address, InboundMessage
from dialogue.states import DeliveryKind, DeliveryState
from dialogue.storage.clock import utc_now
from dialogue.tables import Turn
from tests.bot.wechat.gateway import BOT, Gateway
from tests.builders import Rooms
from tests.patience import until

Start = Callable[..., Any]


@pytest.fixture
def rooms(services: BotServices) -> Rooms:
    rooms = Rooms(services.database, services.keys)
    rooms.clock.now = utc_now()
    return rooms


def owe(rooms: Rooms, reply: str, *, chat_id: str = "wxid_wang") -> UUID:
    """A turn whose reply is owed; returns its id."""
    inbound = InboundMessage(
        address=Address(channel=CHANNEL, chat_id=chat_id),
        account=BOT,
        user_id=chat_id.rpartition("/")[2],
        external_id=uuid4().hex,
        text="在吗",
        sent_at=datetime.now(UTC),
        is_private="/" not in chat_id,
    )
    received = rooms.receive(inbound)
    assert received is not None
    owner = uuid4()
    assert rooms.complete(rooms.claimed(received.conversation_id, owner=owner), reply, owner=owner)
    return received.turn_id


def owe_crisis(services: BotServices, text: str) -> None:
    with services.database.begin() as session:
        person = people.locked(session, services.keys, channel=CHANNEL, user_id="wxid_wang", now=utc_now())
        outbox.owe(
            session,
            person.key,
            person_id=person.id,
            address=Address(channel=CHANNEL, chat_id="wxid_wang"),
            text=text,
            kind=DeliveryKind.CRISIS,
            conversation_id=None,
            now=utc_now(),
        )


async def test_a_picture_is_shown_to_the_human_who_holds_the_conversation(
    services: BotServices, gateway: Gateway, start: Start
) -> None:
    with services.database.begin() as session:
        person = people.locked(session, services.keys, channel=CHANNEL, user_id="wxid_wang", now=utc_now())
        outbox.owe(
            session,
            person.key,
            person_id=person.id,
            address=Address(channel=CHANNEL, chat_id="wxid_admin"),
            text=media_marks.mark("message-7"),
            kind=DeliveryKind.RELAY,
            conversation_id=None,
            now=utc_now(),
        )
    await start(gateway)
    await until(lambda: gateway.files == [("wxid_admin", "the file of message-7")])
    assert gateway.texts("wxid_admin") == []


def fates(rooms: Rooms) -> list[tuple[str, str | None]]:
    return [(delivery.state.value, delivery.error) for delivery in rooms.deliveries()]


async def test_a_reply_is_said_and_marked_with_the_platforms_id(
    rooms: Rooms, durable_gateway: Gateway, start: Start
) -> None:
    owe(rooms, "我在")
    await start(durable_gateway)
    assert await asyncio.to_thread(durable_gateway.wait_for, 1) == ["我在"]
    await until(lambda: fates(rooms) == [("sent", None)])
    assert rooms.deliveries()[0].platform_message_id == "sent-1"


async def test_a_puppet_that_tells_no_id_has_sent_it_all_the_same(rooms: Rooms, gateway: Gateway, start: Start) -> None:
    owe(rooms, "我在")
    await start(gateway)
    await until(lambda: fates(rooms) == [("sent", None)])
    assert gateway.texts() == ["我在"]


async def test_a_long_reply_comes_in_parts_that_end_with_a_sentence(
    rooms: Rooms, gateway: Gateway, start: Start
) -> None:
    sentence = "慢慢来，你已经做得很好了。"
    owe(rooms, sentence * 20)
    await start(gateway, wechat_part_length=60)
    await until(lambda: rooms.deliveries() and all(state == "sent" for state, _ in fates(rooms)))
    parts = gateway.texts()
    assert "".join(parts) == sentence * 20
    assert all(len(part) <= 60 and part.endswith("。") for part in parts)


async def test_between_parts_there_is_a_pause(rooms: Rooms, gateway: Gateway, start: Start) -> None:
    owe(rooms, "慢慢来。" * 20)
    loop = asyncio.get_running_loop()
    await start(gateway, wechat_part_length=50, wechat_part_pause_seconds=1.0)
    began_at = loop.time()
    await asyncio.to_thread(gateway.wait_for, 2)
    assert 0.6 <= loop.time() - began_at <= 3


async def test_in_a_room_the_person_is_named(rooms: Rooms, gateway: Gateway, start: Start) -> None:
    owe(rooms, "我在", chat_id="1@chatroom/wxid_wang")
    await start(gateway)
    await asyncio.to_thread(gateway.wait_for, 1, to="1@chatroom")
    (sent,) = gateway.sent
    assert sent.text == "@name of wxid_wang\u2005我在"
    assert sent.mentions == ["wxid_wang"]


async def test_what_is_owed_waits_while_the_account_is_logged_out(
    services: BotServices, rooms: Rooms, gateway: Gateway, start: Start
) -> None:
    """It is not even claimed: what comes after the wake-up of a courier, a friend request, is handled."""
    await start(gateway, wechat_accepts_friends=True)
    with capture_logs() as logs:
        gateway.happen(Happening.LOGOUT, contactId=BOT)
        await until(lambda: "delivery_paused" in {entry["event"] for entry in logs})
    assert "wechat_logged_out" in {entry["event"] for entry in logs}
    owe(rooms, "我在")
    services.signals.owe({CHANNEL})
    gateway.befriend("wxid_new")
    await until(lambda: gateway.accepted)
    assert gateway.sent == []
    assert [(delivery.state, delivery.attempt) for delivery in rooms.deliveries()[:1]] == [(DeliveryState.PENDING, 0)]
    gateway.happen(Happening.LOGIN, contactId=BOT)
    assert await asyncio.to_thread(gateway.wait_for, 1) == ["我在"]


async def test_what_is_owed_waits_while_there_is_no_gateway(rooms: Rooms, gateway: Gateway, start: Start) -> None:
    await start(gateway)
    with capture_logs() as logs:
        gateway.kill()
        await until(lambda: "wechat_connection_lost" in {entry["event"] for entry in logs})
        owe(rooms, "我在")
        await until(lambda: [entry["event"] for entry in logs].count("wechat_connection_lost") > 1)
    gateway.start()
    assert await asyncio.to_thread(gateway.wait_for, 1) == ["我在"]


async def test_a_puppet_that_says_no_is_asked_again(rooms: Rooms, gateway: Gateway, start: Start) -> None:
    gateway.troubles = [GRPCError(Status.UNKNOWN, "秘密"), GRPCError(Status.INTERNAL)]
    owe(rooms, "我在")
    await start(gateway)
    await until(lambda: fates(rooms) == [("sent", None)])
    assert gateway.texts() == ["我在"]


async def test_a_text_whose_answer_was_lost_is_not_said_twice(rooms: Rooms, gateway: Gateway, start: Start) -> None:
    gateway.loses_answers = True
    owe(rooms, "我在")
    await start(gateway)
    await until(lambda: fates(rooms) == [("failed", "unknown")])
    gateway.loses_answers = False
    owe(rooms, "还在")
    await until(lambda: fates(rooms) == [("failed", "unknown"), ("sent", None)])
    assert gateway.texts() == ["我在", "还在"]


async def test_with_our_gateway_it_is_asked_again_and_still_said_once(
    rooms: Rooms, durable_gateway: Gateway, start: Start
) -> None:
    durable_gateway.loses_answers = True
    owe(rooms, "我在")
    await start(durable_gateway)
    await until(lambda: fates(rooms) == [("sent", None)])
    assert durable_gateway.texts() == ["我在"]


async def test_a_delivery_over_which_the_gateway_died_is_given_up(
    rooms: Rooms, durable_gateway: Gateway, start: Start
) -> None:
    durable_gateway.troubles = [GRPCError(Status.UNKNOWN, "fate unknown")]
    owe(rooms, "我在")
    await start(durable_gateway)
    await until(lambda: fates(rooms) == [("failed", "unknown")])


async def test_words_that_must_arrive_are_rather_said_twice(
    services: BotServices, rooms: Rooms, gateway: Gateway, start: Start
) -> None:
    gateway.loses_answers = True
    owe_crisis(services, "请现在拨打 120")
    await start(gateway)
    await until(lambda: fates(rooms) == [("sent", None)])
    assert gateway.texts() == ["请现在拨打 120"] * 2


async def test_what_a_dead_adapter_had_claimed_is_said_at_once(
    services: BotServices, rooms: Rooms, gateway: Gateway, start: Start, tmp_path: Path
) -> None:
    owe(rooms, "一", chat_id="wxid_a")
    owe(rooms, "二", chat_id="wxid_b")
    dead = Journal(tmp_path / "journals", uuid4())
    with services.database.begin() as session:
        claimed = claiming.claim_due(
            session, services.keys, CHANNEL, owner=dead.owner, lease_seconds=60, limit=9, now=utc_now()
        )
    dead.begin(next(text.id for text in claimed if text.text == "二"))
    dead._lock.close()  # what the end of its process does
    await start(gateway)
    assert await asyncio.to_thread(gateway.wait_for, 1, to="wxid_a") == ["一"]
    rooms.clock.now = utc_now()
    rooms.sweep()
    assert fates(rooms)[1] == ("failed", "unknown")
    assert gateway.texts("wxid_b") == []
    await until(lambda: rooms.deliveries()[0].state is DeliveryState.SENT)


async def test_an_adapter_that_does_not_hold_the_account_leaves_the_texts_to_the_one_that_does(
    rooms: Rooms, gateway: Gateway, start: Start
) -> None:
    await start(gateway)
    await start(gateway, is_awaited=False)
    await until(lambda: gateway.calls.count("Start") >= 2)
    for number in range(20):
        owe(rooms, "我在", chat_id=f"wxid_{number}")
    await until(lambda: all(state == "sent" for state, _ in fates(rooms)))
    assert [delivery.attempt for delivery in rooms.deliveries()] == [1] * 20
    assert len(gateway.sent) == 20


def first_conversation(rooms: Rooms) -> UUID | None:
    with rooms.database.read() as session:
        return session.scalar(select(Turn.conversation_id).order_by(Turn.id))


async def test_who_waits_long_for_a_worker_is_told_once_where_they_stand(
    rooms: Rooms, gateway: Gateway, start: Start
) -> None:
    await start(gateway, wechat_waiting_notice_seconds=1)
    gateway.say("我睡不着", who="wxid_wang")
    await until(lambda: first_conversation(rooms) is not None)  # order holds for one person only
    gateway.say("我睡不着", who="wxid_li")
    (notice,) = await asyncio.to_thread(gateway.wait_for, 1, to="wxid_li")
    assert "还有 1 位" in notice
    assert len(await asyncio.to_thread(gateway.wait_for, 1, to="wxid_wang")) == 1
    conversation_id = first_conversation(rooms)
    assert conversation_id is not None
    owner = uuid4()
    rooms.clock.now = utc_now()
    rooms.complete(rooms.claimed(conversation_id, owner=owner), "我在", owner=owner)
    await until(lambda: "我在" in gateway.texts())
    assert len(gateway.texts("wxid_wang")) + len(gateway.texts("wxid_li")) == 3
