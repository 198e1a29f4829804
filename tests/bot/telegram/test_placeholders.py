"""A placeholder stands where its reply will stand: never before a text that was owed earlier."""

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.progress import Progress, _Waiting
from bot.channels.telegram.records import Records
from bot.services import BotServices
from dialogue.messages import InboundMessage
from tests.builders import Rooms

HERE = TelegramChat(chat_id=-7, user_id=7)


def hear(rooms: Rooms, text: str) -> tuple[UUID, UUID]:
    """Conversation and turn."""
    message = InboundMessage(
        address=HERE.address(),
        account="",
        user_id="7",
        external_id=uuid4().hex,
        text=text,
        sent_at=datetime.now(UTC),
        is_private=False,
    )
    received = rooms.receive(message)
    assert received is not None
    return received.conversation_id, received.turn_id


async def test_it_waits_for_the_reply_that_is_owed_before(services: BotServices) -> None:
    rooms, owner = Rooms(services.database, services.keys), uuid4()
    records = Records(services.database, services.keys, executors=services.executors)
    conversation_id, first = hear(rooms, "一")
    assert await records.is_next(first, HERE)
    assert rooms.complete(rooms.claimed(conversation_id, owner=owner), "收到：一", owner=owner)
    _, second = hear(rooms, "二")
    assert not await records.is_next(second, HERE)


async def test_nothing_is_shown_before_it_is_its_turn() -> None:
    class Turns:
        async def placeholder_of(self, _turn_id: UUID) -> None:
            return None

        async def is_next(self, _turn_id: UUID, _place: TelegramChat) -> bool:
            return False

    nothing = cast("Any", None)
    progress = Progress(
        bot=nothing,
        limiter=nothing,
        paces=nothing,
        turns=cast("Any", Turns()),
        stale=nothing,
        queue=nothing,
        on_moved=nothing,
    )
    assert not await progress._put_placeholder(_Waiting(uuid4(), HERE), "…")
