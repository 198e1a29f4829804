"""`mindglm telegram` with something in it that never ends, whatever is cancelled: run as a process by a test."""

import asyncio
import contextlib
import sys

from bot.channels.telegram.progress import Progress
from mindglm import adapters
from mindglm.__main__ import main


async def never_ends(_self: Progress) -> None:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)


if __name__ == "__main__":
    Progress.close = never_ends  # type: ignore[method-assign]  # what no code of ours can be made to do
    adapters._STOP_SECONDS = 1.0
    sys.argv = ["mindglm", "telegram"]
    main()
