"""Work beside the main thread ends with it, whatever it swallows."""

import asyncio
from contextlib import suppress

from mindglm.background import Background


async def swallows_one() -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)
    await asyncio.sleep(3600)


def test_work_that_swallows_the_first_cancellation_does_not_hold_up_the_end() -> None:
    with Background() as background:
        work = background.start(swallows_one())
        background.call(asyncio.sleep(0))
    assert work.cancelled()
