"""What a call in a thread and a Redis command cost in a loop, and when the processor's caches have gone cold.

    python -m bench.wakes

Between two messages they always have: a turn's steps cost what is printed last. Microseconds of this process's time.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from redis import Redis

from bench.servers import broker
from bot.executors import PriorityExecutor
from dialogue.broker.doorbell import Doorbell
from dialogue.broker.signals import redis_url
from dialogue.process import event_loop
from dialogue.storage.ids import new_id

_HOT_COUNT = 2000
_COLD_COUNT = 100
_PAUSE_SECONDS = 0.02


async def measure(url: str) -> None:
    """Print a line for each step."""
    executor, doorbell = PriorityExecutor("bench", threads=4), Doorbell(url)
    with Redis.from_url(redis_url(url)) as redis:

        async def call() -> None:
            await executor.run(int)

        async def command() -> None:
            redis.set("bench", "1")

        async def ring() -> None:
            doorbell.ring([new_id()])

        print(f"{'':20}{'in a loop':>10}{'cold':>10}")
        for name, step in {"call in a thread": call, "Redis command": command, "ring": ring}.items():
            hot = await _cost(step, _HOT_COUNT, 0)
            cold = await _cost(step, _COLD_COUNT, _PAUSE_SECONDS) - await _cost(_nothing, _COLD_COUNT, _PAUSE_SECONDS)
            print(f"{name:20}{hot:10.0f}{cold:10.0f}")
    executor.close()
    doorbell.close()


async def _nothing() -> None:
    """The pause alone wakes the loop, too."""


async def _cost(step: Callable[[], Awaitable[None]], count: int, pause_seconds: float) -> float:
    began_at = time.process_time()
    for _ in range(count):
        if pause_seconds:
            await asyncio.sleep(pause_seconds)
        await step()
    return (time.process_time() - began_at) / count * 1e6


def main() -> None:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mw-")))
        event_loop.run(measure(broker(stack, home).url))


if __name__ == "__main__":
    main()
