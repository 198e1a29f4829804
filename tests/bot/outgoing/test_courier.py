import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from bot.channels.terminal.console import ConsoleSender
from bot.outgoing.courier import Courier, Sender, TryLater, Undeliverable
from bot.outgoing.listener import Listener
from bot.services import BotServices
from dialogue.broker.signals import CANCEL, redis_url
from dialogue.errors import DatabaseUnavailable
from dialogue.messages import OwedText
from dialogue.states import DeliveryKind, DeliveryState
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database
from tests.builders import CHANNEL, Rooms, message
from tests.patience import until


class Platform:
    """A platform that takes texts, or raises what it was told to first."""

    name = CHANNEL

    def __init__(self, *troubles: Exception) -> None:
        self.sent: list[str] = []
        self.tries: Counter[str] = Counter()
        self._troubles = list(troubles)

    async def send(self, text: OwedText) -> str | None:
        self.tries[text.text] += 1
        if self._troubles:
            raise self._troubles.pop(0)
        self.sent.append(text.text)
        return f"id {len(self.sent)}"


class HeldPlatform(Platform):
    """Takes 慢 when it is released, everything else at once."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun, self.released = asyncio.Event(), asyncio.Event()

    async def send(self, text: OwedText) -> str | None:
        if text.text == "慢":
            self.has_begun.set()
            await self.released.wait()
        return await super().send(text)


@pytest.fixture
def rooms(services: BotServices) -> Rooms:
    found = Rooms(services.database, services.keys)
    found.clock.now = utc_now()  # the services' own sweep must not find what is being sent abandoned
    return found


def courier(services: BotServices, rooms: Rooms, sender: Sender, *, poll_seconds: float = 0.05) -> Courier:
    return Courier(
        database=services.database, keys=services.keys, sender=sender, poll_seconds=poll_seconds, clock=rooms.clock
    )


async def test_what_is_owed_is_sent_and_marked_with_the_platforms_id(services: BotServices, rooms: Rooms) -> None:
    rooms.answered("在吗", "我在")
    platform = Platform()
    assert await courier(services, rooms, platform).deliver_due() == 1
    assert platform.sent == ["我在"]
    (delivery,) = rooms.deliveries()
    assert (delivery.state, delivery.platform_message_id) == (DeliveryState.SENT, "id 1")


async def test_a_platform_that_wants_us_to_wait_is_tried_again_after_that_time(
    services: BotServices, rooms: Rooms
) -> None:
    rooms.answered("在吗", "我在")
    platform = Platform(TryLater(30))
    messenger = courier(services, rooms, platform)
    await messenger.deliver_due()
    rooms.clock.tick(29)
    assert await messenger.deliver_due() == 0
    rooms.clock.tick(1)
    await messenger.deliver_due()
    assert platform.sent == ["我在"]


async def test_without_a_time_the_waits_double(services: BotServices, rooms: Rooms) -> None:
    rooms.answered("在吗", "我在")
    platform = Platform(TryLater(), TryLater(), TryLater())
    messenger = courier(services, rooms, platform)
    for wait in (0, 1, 2, 4):
        rooms.clock.tick(wait)
        assert await messenger.deliver_due() == 1
    assert platform.sent == ["我在"]


async def test_words_for_somebody_in_danger_never_wait_long_for_the_next_try(
    services: BotServices, rooms: Rooms
) -> None:
    services.inbox.receive_blocking(message("我今晚就想结束自己"))
    platform = Platform(*[TryLater()] * 12)
    messenger = courier(services, rooms, platform)
    for _ in range(12):
        rooms.clock.tick(1)
        assert await messenger.deliver_due() >= 1


async def test_words_for_somebody_in_danger_do_not_wait_for_an_answer_that_is_under_way(
    services: BotServices, rooms: Rooms
) -> None:
    await asyncio.to_thread(rooms.answered, "在吗", "慢")
    platform = HeldPlatform()
    messenger = courier(services, rooms, platform)
    running = asyncio.create_task(messenger.run())
    await platform.has_begun.wait()
    await asyncio.to_thread(services.inbox.receive_blocking, message("我今晚就想结束自己"))
    rooms.clock.now = utc_now()
    await until(lambda: platform.sent)
    platform.released.set()
    messenger.stop()
    await running
    assert platform.sent[-1] == "慢"


async def test_what_breaks_in_a_channel_is_repeated_only_where_it_must_arrive(
    services: BotServices, rooms: Rooms
) -> None:
    await asyncio.to_thread(rooms.answered, "在吗", "我在", who="小李")
    services.inbox.receive_blocking(message("我今晚就想结束自己"))
    platform = Platform(RuntimeError(), RuntimeError(), RuntimeError())
    messenger = courier(services, rooms, platform)
    for _ in range(4):
        rooms.clock.tick(1)
        await messenger.deliver_due()
    states = Counter((delivery.kind, delivery.state) for delivery in rooms.deliveries())
    assert states.pop((DeliveryKind.REPLY, DeliveryState.FAILED)) == 1
    assert {state for _, state in states} == {DeliveryState.SENT}


async def test_what_the_platform_refuses_is_not_tried_again(services: BotServices, rooms: Rooms) -> None:
    rooms.answered("在吗", "我在")
    platform = Platform(Undeliverable("blocked"))
    messenger = courier(services, rooms, platform)
    await messenger.deliver_due()
    rooms.clock.tick(3600)
    assert await messenger.deliver_due() == 0
    (delivery,) = rooms.deliveries()
    assert (delivery.state, delivery.error) == (DeliveryState.FAILED, "blocked")


async def test_a_signal_wakes_the_courier_before_its_poll(services: BotServices, rooms: Rooms) -> None:
    platform = Platform()
    messenger = courier(services, rooms, platform, poll_seconds=30)
    hints: list[None] = []

    def on_owed() -> None:
        hints.append(None)
        messenger.wake()

    listener = Listener(services.broker_url, CHANNEL, on_owed=on_owed)
    tasks = [asyncio.create_task(messenger.run()), asyncio.create_task(listener.run())]
    await until(lambda: hints)  # it has subscribed
    await asyncio.to_thread(rooms.answered, "在吗", "我在")
    await asyncio.to_thread(services.signals.owe, [CHANNEL])
    await until(lambda: platform.sent, 5)
    messenger.stop()
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_hint_that_is_none_does_not_end_the_listener(services: BotServices) -> None:
    heard = Counter[str]()
    listener = Listener(
        services.broker_url,
        CHANNEL,
        on_owed=lambda: heard.update(["owed"]),
        on_cancelled=lambda _turn_id: heard.update(["cancelled"]),
    )
    listening = asyncio.create_task(listener.run())
    await until(lambda: heard["owed"])
    with Redis.from_url(redis_url(services.broker_url)) as redis:
        redis.publish(CANCEL, b"no id")
    await until(lambda: heard["owed"] == 2)
    services.signals.cancel([uuid4()])
    await until(lambda: heard["cancelled"])
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening


async def test_a_stopping_courier_marks_what_it_sent(services: BotServices, rooms: Rooms) -> None:
    rooms.answered("在吗", "我在")
    platform = Platform()
    messenger = courier(services, rooms, platform)
    running = asyncio.create_task(messenger.run())
    await until(lambda: platform.sent)
    messenger.stop()
    await running
    assert [delivery.state for delivery in rooms.deliveries()] == [DeliveryState.SENT]


class Doubtful:
    """A database that is lost at the end of some transactions, when their work is done already."""

    def __init__(self, database: Database) -> None:
        self.lost_count = 0
        self._database = database

    @contextmanager
    def begin(self, *, is_hasty: bool = False) -> Iterator[Session]:
        with self._database.begin(is_hasty=is_hasty) as session:
            yield session
        if self.lost_count:
            self.lost_count -= 1
            raise DatabaseUnavailable("gone")


def doubtful_courier(services: BotServices, rooms: Rooms, sender: Sender) -> tuple[Courier, Doubtful]:
    database = Doubtful(services.database)
    lost = cast("Database", database)
    return Courier(database=lost, keys=services.keys, sender=sender, poll_seconds=0.02, clock=rooms.clock), database


async def test_what_was_claimed_when_the_database_was_lost_is_due_again_at_once(
    services: BotServices, rooms: Rooms
) -> None:
    rooms.answered("在吗", "我在")
    platform = Platform()
    messenger, database = doubtful_courier(services, rooms, platform)
    database.lost_count = 1
    with pytest.raises(DatabaseUnavailable):
        await messenger.deliver_due()
    was_settled = messenger.is_settled
    assert await messenger.deliver_due() == 1
    assert platform.sent == ["我在"]
    assert (was_settled, messenger.is_settled) == (False, True)
    (delivery,) = rooms.deliveries()
    assert (delivery.state, delivery.attempt) == (DeliveryState.SENT, 1)


async def test_what_is_being_sent_while_the_database_is_lost_is_not_sent_twice(
    services: BotServices, rooms: Rooms
) -> None:
    await asyncio.to_thread(rooms.answered, "在吗", "慢")
    platform = HeldPlatform()
    messenger, database = doubtful_courier(services, rooms, platform)
    running = asyncio.create_task(messenger.run())
    await platform.has_begun.wait()
    database.lost_count = 3
    await until(lambda: not database.lost_count)
    platform.released.set()
    await until(lambda: messenger.is_settled)
    messenger.stop()
    await running
    assert platform.sent == ["慢"]
    assert [delivery.state for delivery in rooms.deliveries()] == [DeliveryState.SENT]


async def test_a_courier_that_stops_without_the_database_marks_when_it_runs_again(
    services: BotServices, rooms: Rooms
) -> None:
    await asyncio.to_thread(rooms.answered, "在吗", "慢")
    platform = HeldPlatform()
    messenger, database = doubtful_courier(services, rooms, platform)
    running = asyncio.create_task(messenger.run())
    await platform.has_begun.wait()
    database.lost_count = 1_000
    messenger.stop()
    platform.released.set()
    await running
    was_settled = messenger.is_settled
    database.lost_count = 0
    running = asyncio.create_task(messenger.run())
    await until(lambda: messenger.is_settled)
    messenger.stop()
    await running
    assert not was_settled
    assert platform.sent == ["慢"]


async def test_what_a_closing_terminal_never_showed_stays_owed(services: BotServices, rooms: Rooms) -> None:
    rooms.receive(message("在吗"))
    rooms.answered("在吗", "我在", who="小李")
    sender = ConsoleSender()
    sender.name = CHANNEL
    messenger = courier(services, rooms, sender)
    running = asyncio.create_task(messenger.run())
    await until(lambda: not sender.events.empty())
    sender.close()
    messenger.stop()
    await running
    assert [delivery.state for delivery in rooms.deliveries()] == [DeliveryState.PENDING]


class SlowPlatform(Platform):
    """Takes 慢 when another text was sent, and says how many it had at once."""

    at_once = most_at_once = 0

    async def send(self, text: OwedText) -> str | None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if text.text == "慢":
            await until(lambda: self.sent)
        self.at_once -= 1
        return await super().send(text)


async def test_a_slow_chat_holds_up_nobody_else_and_everything_is_marked(services: BotServices, rooms: Rooms) -> None:
    platform = SlowPlatform()
    messenger = courier(services, rooms, platform, poll_seconds=30)
    await asyncio.to_thread(rooms.answered, "在吗", "慢", who="慢人")
    running = asyncio.create_task(messenger.run())
    for number in range(5):
        await asyncio.to_thread(rooms.answered, "在吗", f"{number}", who=f"{number}")
        messenger.wake()
        await asyncio.sleep(0.03)
    await until(lambda: len(platform.sent) >= 6)
    assert platform.sent.index("0") < platform.sent.index("慢")
    assert platform.most_at_once >= 2
    messenger.stop()
    await running
    assert {delivery.state for delivery in rooms.deliveries()} == {DeliveryState.SENT}


async def test_slow_answers_take_no_place_from_words_for_somebody_in_danger(
    services: BotServices, rooms: Rooms
) -> None:
    platform = HeldPlatform()
    messenger = Courier(
        database=services.database,
        keys=services.keys,
        sender=platform,
        max_at_once=1,
        poll_seconds=0.05,
        clock=rooms.clock,
    )
    await asyncio.to_thread(rooms.answered, "在吗", "慢", who="慢人")
    await asyncio.to_thread(rooms.answered, "在吗", "我在", who="小李")
    running = asyncio.create_task(messenger.run())
    await platform.has_begun.wait()
    await asyncio.to_thread(services.inbox.receive_blocking, message("我今晚就想结束自己"))
    rooms.clock.now = utc_now()
    await until(lambda: platform.sent)
    platform.released.set()
    await until(lambda: len(platform.sent) >= 3)
    messenger.stop()
    await running
    assert platform.sent[-2:] == ["慢", "我在"]


async def test_long_texts_become_parts_that_keep_their_place(services: BotServices, rooms: Rooms) -> None:
    rooms.answered("在吗", "一二三四五")
    rooms.answered("还在吗", "完")
    platform = Platform()
    messenger = Courier(
        database=services.database,
        keys=services.keys,
        sender=platform,
        split=lambda text: [text[start : start + 2] for start in range(0, len(text), 2)],
        clock=rooms.clock,
    )
    while await messenger.deliver_due():
        pass
    assert platform.sent == ["一二", "三四", "五", "完"]


async def test_parts_that_became_too_long_are_split_again_and_keep_their_place(
    services: BotServices, rooms: Rooms
) -> None:
    """An operator asked for shorter messages while some were owed in parts."""
    rooms.answered("在吗", "一二三四五六")
    rooms.answered("还在吗", "完")
    platform = Platform(TryLater(1))

    def messenger(length: int) -> Courier:
        return Courier(
            database=services.database,
            keys=services.keys,
            sender=platform,
            split=lambda text: [text[start : start + length] for start in range(0, len(text), length)],
            clock=rooms.clock,
        )

    await messenger(3).deliver_due()
    rooms.clock.tick(1)
    while await messenger(2).deliver_due():
        pass
    assert platform.sent == ["一二", "三", "四五", "六", "完"]


async def test_what_breaks_over_one_refused_text_leaves_the_others_marked(services: BotServices, rooms: Rooms) -> None:
    def break_down(_session: Session, _text: OwedText, _reason: str) -> None:
        raise RuntimeError

    await asyncio.to_thread(rooms.answered, "在吗", "一", who="小李")
    await asyncio.to_thread(rooms.answered, "在吗", "二", who="小王")
    messenger = Courier(
        database=services.database,
        keys=services.keys,
        sender=Platform(Undeliverable("refused")),
        on_failed=break_down,
        clock=rooms.clock,
    )
    with capture_logs() as logs:
        assert await messenger.deliver_due() == 2
    assert [(one.state, one.error) for one in rooms.deliveries()] == [
        (DeliveryState.FAILED, "refused"),
        (DeliveryState.SENT, None),
    ]
    assert "outcome_not_told" in {entry["event"] for entry in logs}
