import asyncio

from bot.admission import URGENT, AdmissionQueue


async def test_waiting_entrants_are_admitted_by_priority_then_in_order_of_arrival() -> None:
    queue, went = AdmissionQueue(1), []

    async def go(name: str, priority: int) -> None:
        async with queue.admitted(priority):
            went.append(name)
            await asyncio.sleep(0)

    async with queue.admitted():
        assert queue.is_full
        going = [asyncio.create_task(go(name, priority)) for name, priority in (("a", 0), ("b", 0), ("c", 3), ("d", 2))]
        await asyncio.sleep(0)
        assert went == []
    await asyncio.gather(*going)
    assert went == ["c", "d", "a", "b"]
    assert not queue.is_full


async def test_an_entrant_that_gives_up_takes_no_place() -> None:
    queue = AdmissionQueue(1)
    async with queue.admitted():
        waiting = [asyncio.create_task(_stay(queue)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
    await waiting[1]
    assert not queue.is_full


async def test_reserved_places_are_for_what_is_urgent() -> None:
    queue = AdmissionQueue(1, reserved=1)
    await queue.enter()
    ordinary = asyncio.create_task(queue.enter())
    await asyncio.sleep(0)
    assert queue.is_full
    await queue.enter(URGENT)
    urgent = asyncio.create_task(queue.enter(URGENT))
    await asyncio.sleep(0)
    queue.leave()
    await urgent
    queue.leave()  # one place is free, and it is the reserved one
    await asyncio.sleep(0)
    assert not ordinary.done()
    queue.leave()
    await ordinary


async def _stay(queue: AdmissionQueue) -> None:
    async with queue.admitted():
        pass
