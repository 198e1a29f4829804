"""One class of tests over the slots in Redis and those in memory, so that they cannot drift apart."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from bot.channels.telegram.flood_limits import Limiter, LocalSlots, Pace, Slots, Urgency
from bot.channels.telegram.shared_slots import SharedSlots
from bot.outgoing.courier import TryLater
from tests.services.valkey import ValkeyServer

FAST = Pace(account_per_second=50, chat_per_second=10)
TEXT, CRISIS, EDIT, PASSING = Urgency.TEXT, Urgency.CRISIS, Urgency.EDIT, Urgency.PASSING


@pytest.fixture(params=["local", "shared"])
async def slots(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Slots]:
    if request.param == "local":
        yield LocalSlots()
        return
    shared = SharedSlots.connect(redis_url, "42")
    yield shared
    await shared.close()


async def take(slots: Slots, *chats: str, urgency: Urgency = TEXT, pace: Pace = FAST) -> list[tuple[int, bool]]:
    taken = [await slots.ask(chat, pace, urgency) for chat in chats]
    return [(slot.wait_ms, slot.is_reserved) for slot in taken]


async def test_an_idle_account_sends_at_once(slots: Slots) -> None:
    assert await take(slots, "a") == [(0, True)]


async def test_no_second_holds_more_than_the_limit(slots: Slots) -> None:
    began_at = time.monotonic()
    leaves = []
    for number in range(120):
        slot = await slots.ask(f"chat {number}", FAST, TEXT)
        assert slot.is_reserved
        leaves.append(time.monotonic() - began_at + slot.wait_ms / 1000)
    leaves.sort()
    assert max(sum(start <= one < start + 1 for one in leaves) for start in leaves) <= 50
    assert leaves[-1] < 3.2


async def test_a_chat_waits_for_its_own_pace_without_taking_anybodys_slot(slots: Slots) -> None:
    await take(slots, "a")
    ((wait_ms, is_reserved),) = await take(slots, "a")
    assert not is_reserved
    assert 60 <= wait_ms <= 118
    assert await take(slots, "b") == [(0, True)]


async def test_crisis_words_pass_a_queue(slots: Slots) -> None:
    waits = await take(slots, *(f"{number}" for number in range(30)))
    assert waits[-1][0] > 300
    assert await take(slots, "x", urgency=CRISIS) == [(0, True)]


async def test_crisis_words_pass_the_queue_of_their_own_chat_too(slots: Slots) -> None:
    await take(slots, *(f"{number}" for number in range(30)))
    ((text_ms, is_reserved),) = await take(slots, "a")
    assert is_reserved
    assert text_ms > 300
    assert await take(slots, "a", urgency=CRISIS) == [(0, True)]
    ((wait_ms, is_reserved),) = await take(slots, "a")
    assert not is_reserved
    assert wait_ms > 300


async def test_in_a_group_crisis_words_wait_a_second_at_most(slots: Slots) -> None:
    limiter, group = Limiter(slots), Pace(account_per_second=50, chat_per_second=1 / 60)
    await limiter.wait("a", group, TEXT)
    await limiter.depart("a", group)
    async with asyncio.timeout(20):
        await limiter.wait("a", group, CRISIS)


async def test_what_only_shows_that_we_are_there_gives_way(slots: Slots) -> None:
    await take(slots, *(f"{number}" for number in range(20)))
    assert [is_reserved for _, is_reserved in await take(slots, "x", "y", urgency=PASSING)] == [False, False]
    assert [is_reserved for _, is_reserved in await take(slots, "z", urgency=EDIT)] == [False]


async def test_typing_does_not_delay_the_text_of_its_chat(slots: Slots) -> None:
    await take(slots, "a", urgency=PASSING)
    assert await take(slots, "a") == [(0, True)]


async def test_an_edit_counts_for_its_chat(slots: Slots) -> None:
    await take(slots, "a", urgency=EDIT)
    assert not (await take(slots, "a"))[0][1]


async def test_a_flooded_chat_pauses_alone_and_a_second_one_pauses_all(slots: Slots) -> None:
    await slots.flooded("a", 2000)
    ((wait_ms, is_reserved),) = await take(slots, "a")
    assert not is_reserved
    assert 1500 < wait_ms <= 2000
    assert await take(slots, "b") == [(0, True)]
    await slots.flooded("c", 3000)
    ((wait_ms, is_reserved),) = await take(slots, "d", urgency=CRISIS)
    assert not is_reserved
    assert 2500 < wait_ms <= 3000


async def test_who_would_have_to_wait_too_long_tries_later(slots: Slots) -> None:
    limiter = Limiter(slots, patience_seconds=0.5)
    await limiter.flooded("a", 7)
    with pytest.raises(TryLater) as raised:
        await limiter.wait("a", FAST, TEXT)
    assert raised.value.after_seconds is not None
    assert 6 < raised.value.after_seconds <= 7


async def test_waiting_takes_as_long_as_was_said(slots: Slots) -> None:
    limiter = Limiter(slots)
    began_at = time.monotonic()
    await limiter.wait("a", FAST, TEXT)
    await limiter.wait("a", FAST, TEXT)
    assert 0.08 < time.monotonic() - began_at < 1.5


async def test_two_processes_share_one_pace(redis_url: str) -> None:
    one, other = SharedSlots.connect(redis_url, "42"), SharedSlots.connect(redis_url, "42")
    began_at = time.monotonic()
    waits = await take(one, *(f"{n}" for n in range(10))) + await take(other, *(f"{n}" for n in range(10, 20)))
    assert (time.monotonic() - began_at) * 1000 + waits[-1][0] > 200
    await asyncio.gather(one.close(), other.close())


async def test_what_is_asked_at_once_is_asked_on_one_connection(redis_url: str) -> None:
    slots = SharedSlots.connect(redis_url, "42")
    waits = await asyncio.gather(*(slots.ask(f"{number}", FAST, TEXT) for number in range(50)))
    assert len({slot.wait_ms for slot in waits}) > 40
    assert len(slots._redis.connection_pool._available_connections) == 1
    await slots.close()


async def test_without_redis_each_process_keeps_the_pace_by_itself(valkey_server: ValkeyServer) -> None:
    slots = SharedSlots.connect(valkey_server.url, "42")
    await take(slots, "a")
    valkey_server.kill()
    began_at = time.monotonic()
    waits = await take(slots, *(f"{number}" for number in range(20)))
    assert time.monotonic() - began_at < 1.5
    assert all(is_reserved for _, is_reserved in waits)
    assert waits[-1][0] > 200
    valkey_server.start()
    await slots.close()
