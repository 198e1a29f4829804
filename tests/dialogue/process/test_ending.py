"""Tasks that swallow a cancellation end all the same, and those that never end are named."""

import asyncio
from contextlib import suppress

from structlog.testing import capture_logs

from dialogue.process.ending import end_tasks


async def swallows_one() -> None:
    """Like a client library that takes the cancellation for a timeout of its own, inside a loop that goes on."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)
    while True:
        await asyncio.sleep(3600)


async def never_ends(released: asyncio.Event) -> None:
    while not released.is_set():
        with suppress(asyncio.CancelledError):
            await released.wait()


async def test_a_task_that_swallows_the_first_cancellation_is_cancelled_again() -> None:
    task = asyncio.create_task(swallows_one())
    await asyncio.sleep(0)
    assert await end_tasks([task])
    assert task.cancelled()


async def test_a_task_that_never_ends_is_named_and_not_waited_for() -> None:
    released = asyncio.Event()
    task = asyncio.create_task(never_ends(released))
    await asyncio.sleep(0)
    with capture_logs() as logs:
        assert not await end_tasks([task], within_seconds=0.1)
    assert [(entry["event"], entry["tasks"]) for entry in logs] == [("tasks_not_ended", ["never_ends"])]
    released.set()
    await task


async def test_what_is_done_already_is_left_alone() -> None:
    async def fails() -> None:
        raise ValueError

    task = asyncio.create_task(fails())
    await asyncio.wait([task])
    assert await end_tasks([task])
    assert isinstance(task.exception(), ValueError)
