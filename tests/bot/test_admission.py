import asyncio

from bot.admission import AdmissionQueue


async def test_when_all_places_are_taken_the_most_urgent_goes_first_then_who_came_first() -> None:
    places, went = AdmissionQueue(1), []

    async def go(name: str, urgency: int) -> None:
        async with places.one(urgency):
            went.append(name)
            await asyncio.sleep(0)

    async with places.one():
        assert places.are_taken
        going = [asyncio.create_task(go(name, urgency)) for name, urgency in (("a", 0), ("b", 0), ("c", 3), ("d", 2))]
        await asyncio.sleep(0.01)
        assert went == []
    await asyncio.gather(*going)
    assert went == ["c", "d", "a", "b"]
    assert not places.are_taken


async def test_who_gives_up_waiting_takes_no_place() -> None:
    places = AdmissionQueue(1)
    async with places.one():
        waiting = [asyncio.create_task(_stay(places)) for _ in range(2)]
        await asyncio.sleep(0.01)
        waiting[0].cancel()
        await asyncio.sleep(0.01)
    await waiting[1]
    assert not places.are_taken


async def _stay(places: AdmissionQueue) -> None:
    async with places.one():
        pass
