"""The account speaks at a person's pace."""

import asyncio
from datetime import UTC, datetime
from itertools import pairwise
from uuid import uuid4

import pytest

from bot.channels.wechat.pace import Pace
from bot.outgoing.courier import TryLater
from dialogue.messages import Address, OwedText
from dialogue.states import DeliveryKind


class Time:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


def text(*, who: str = "wxid_wang", part: int = 0, kind: DeliveryKind = DeliveryKind.REPLY) -> OwedText:
    return OwedText(
        id=uuid4(),
        address=Address(channel="wechat", chat_id=who),
        kind=kind,
        text="我在",
        turn_id=uuid4(),
        part=part,
        attempt=1,
    )


def pace(time: Time, *, messages_per_minute: float = 30, pause: float = 2) -> Pace:
    return Pace(messages_per_minute=messages_per_minute, part_pause_seconds=pause, patience_seconds=0, clock=time)


async def seconds_to_wait(pace: Pace, owed: OwedText) -> float:
    try:
        await pace.wait(owed)
    except TryLater as later:
        return later.after_seconds or 0.0
    return 0.0


async def test_many_texts_at_once_leave_one_after_the_other() -> None:
    time = Time()
    pacer = pace(time)
    waits = [await seconds_to_wait(pacer, text(who=f"wxid_{number}")) for number in range(31)]
    assert waits[0] == 0
    gaps = [later - earlier for earlier, later in pairwise(waits)]
    assert all(1.3 <= gap <= 2.7 for gap in gaps)  # 2 s, unevenly
    assert 50 <= waits[-1] <= 70


async def test_who_comes_back_finds_its_slot_kept() -> None:
    time = Time()
    pacer = pace(time)
    await pacer.wait(text())
    second = text(who="wxid_li")
    wait = await seconds_to_wait(pacer, second)
    await seconds_to_wait(pacer, text(who="wxid_zhao"))
    time.now += wait
    assert await seconds_to_wait(pacer, second) == 0


async def test_the_parts_of_a_reply_come_with_a_pause() -> None:
    time = Time()
    pacer = pace(time, messages_per_minute=60_000)
    await pacer.wait(text())
    assert 1.3 <= await seconds_to_wait(pacer, text(part=1)) <= 2.7
    assert await seconds_to_wait(pacer, text(who="wxid_li")) < 0.1


async def test_words_that_must_arrive_wait_for_nobody() -> None:
    time = Time()
    pacer = pace(time)
    for number in range(20):
        await seconds_to_wait(pacer, text(who=f"wxid_{number}"))
    assert await seconds_to_wait(pacer, text(kind=DeliveryKind.CRISIS)) == 0


async def test_a_short_wait_is_waited_and_closing_ends_it() -> None:
    pacer = Pace(messages_per_minute=6, part_pause_seconds=0, patience_seconds=60)
    await pacer.wait(text())
    waiting = asyncio.create_task(pacer.wait(text(who="wxid_li")))
    await asyncio.sleep(0)  # it waits now, or has said that it will not
    assert not waiting.done()
    pacer.close()
    with pytest.raises(TryLater):
        await asyncio.wait_for(waiting, 1)
