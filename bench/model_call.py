"""What asking a model over HTTP costs beyond the model: by httpx, by httpx on aiohttp as the worker, and by aiohttp.

    python -m bench.model_call --rounds 30

By turns, a streamed answer of `bench.fake_model` each, at a person's pace: between two requests the caches go cold.
"""

import argparse
import statistics
import time
from collections.abc import Awaitable, Callable

import aiohttp
import httpx

from bench.fake_model import MODEL
from bench.peers import model
from dialogue.process import event_loop
from worker.engine.completions import connections

_QUESTION = {"model": MODEL, "messages": [{"role": "user", "content": "我最近总是睡不好"}], "stream": True}


async def measure(url: str, *, model_seconds: float, rounds: int) -> None:
    """Print a line for each way: milliseconds beyond the model's own, and of this process's processor time."""
    async with (
        httpx.AsyncClient() as own,
        httpx.AsyncClient(transport=connections(1)) as ours,
        aiohttp.ClientSession() as bare,
    ):

        async def through_aiohttp() -> None:
            async with bare.post(url, json=_QUESTION) as response:
                await response.read()

        ways = {"httpx": _through(own, url), "httpx on aiohttp": _through(ours, url), "aiohttp": through_aiohttp}
        walls: dict[str, list[float]] = {name: [] for name in ways}
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, ask in ways.items():
                began_at, spent_before = time.perf_counter(), time.process_time()
                await ask()
                walls[name].append((time.perf_counter() - began_at - model_seconds) * 1000)
                spent[name].append((time.process_time() - spent_before) * 1000)
    print(f"{'':20}{'p50 ms':>10}{'CPU ms':>10}")
    for name in ways:
        print(f"{name:20}{statistics.median(walls[name]):10.1f}{statistics.median(spent[name]):10.1f}")


def _through(client: httpx.AsyncClient, url: str) -> Callable[[], Awaitable[None]]:
    async def ask() -> None:
        async with client.stream("POST", url, json=_QUESTION) as response:
            async for _ in response.aiter_bytes():
                pass

    return ask


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--model-seconds", type=float, default=0.2)
    arguments = parser.parse_args()
    with model(arguments.model_seconds) as address:
        asking = measure(f"{address}/chat/completions", model_seconds=arguments.model_seconds, rounds=arguments.rounds)
        event_loop.run(asking)


if __name__ == "__main__":
    main()
