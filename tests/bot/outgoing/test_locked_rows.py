"""A courier on PostgreSQL, while another process holds a row that it must mark."""

import asyncio
from collections.abc import Callable

from sqlalchemy import select

from bot.outgoing.courier import Courier
from dialogue.core import outbox, people
from dialogue.messages import Address
from dialogue.states import DeliveryKind, DeliveryState
from dialogue.storage.clock import utc_now
from dialogue.storage.database import connect
from dialogue.tables import DELIVERIES
from tests.bot.outgoing.test_courier import HeldPlatform
from tests.builders import CHANNEL, Rooms
from tests.patience import until


async def test_crisis_words_do_not_wait_for_a_sent_text_that_cannot_be_marked(
    postgres_database: Callable[[], str],
) -> None:
    url = postgres_database()
    database, elsewhere = connect(url, lock_seconds=0.2), connect(url)
    rooms, platform = Rooms(database), HeldPlatform()
    rooms.clock.now = utc_now()
    rooms.answered("在吗", "慢", who="小王")
    courier = Courier(database=database, keys=rooms.keys, sender=platform, poll_seconds=0.05, clock=rooms.clock)
    running = asyncio.create_task(courier.run())
    await platform.has_begun.wait()
    with elsewhere.begin() as session:
        session.execute(select(DELIVERIES.c.id).with_for_update()).all()
        platform.released.set()
        await until(lambda: platform.sent == ["慢"])
        owe_crisis(rooms, "热线", who="小李")
        courier.wake()
        await until(lambda: "热线" in platform.sent)
    await until(lambda: {one.state for one in rooms.deliveries()} == {DeliveryState.SENT})
    courier.stop()
    await running
    assert platform.sent == ["慢", "热线"]
    database.close()
    elsewhere.close()


def owe_crisis(rooms: Rooms, text: str, *, who: str) -> None:
    now = rooms.clock()
    with rooms.database.begin() as session:
        person = people.locked(session, rooms.keys, channel=CHANNEL, user_id=who, now=now)
        outbox.owe(
            session,
            person.key,
            person_id=person.id,
            address=Address(channel=CHANNEL, chat_id=who),
            text=text,
            kind=DeliveryKind.CRISIS,
            conversation_id=None,
            now=now,
        )
