"""What becomes of messages: an adapter on a real gRPC puppet service, a real broker and SQLite."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from bot.room import Room
from dialogue.tables import Feedback, Message, Turn
from tests.bot.wechat.gateway import BOT, Gateway
from tests.builders import Rooms

Start = Callable[..., Any]


async def until(is_true: Callable[[], object], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not is_true():
            await asyncio.sleep(0.01)


def stored(room: Room) -> list[Message]:
    with room.database.read() as session:
        return list(session.scalars(select(Message).order_by(Message.id)))


async def test_words_of_a_friend_are_stored_for_the_model(room: Room, gateway: Gateway, start: Start) -> None:
    await start(gateway)
    gateway.say("我睡不着", who="wxid_wang")
    await until(lambda: stored(room))
    (message,) = stored(room)
    assert (message.account, message.external_id) == (BOT, "message-1")
    assert message.conversation_id is not None
    claimed = Rooms(room.database, room.keys).claim(message.conversation_id)
    assert claimed is not None
    assert (claimed.text, claimed.address.chat_id) == ("我睡不着", "wxid_wang")
