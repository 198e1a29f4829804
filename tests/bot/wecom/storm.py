"""Random bytes and mutated envelopes at the callback: no 500, no growing memory, nothing logged.

    python -m tests.bot.wecom.storm --count 1000000

Prints how many requests of each status there were, the memory before and after, and what a refusal costs.
"""

import argparse
import asyncio
import random
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import psutil
import structlog

from bot.channels.wecom.callback import Callback
from bot.channels.wecom.notices import Notice
from tests.bot.wecom import wire

_CONNECTIONS = 8
_TIMED = 10_000
"""Requests whose time is kept: what a client remembers must not look like memory of the callback."""
_QUERIES = ("", "msg_signature=&timestamp=&nonce=", "%00%ff=%00", "msg_signature=a&msg_signature=b", "&&&===")


class Storm:
    """What somebody may send who does not know our token, or knows only what was sent once."""

    path = "/wecom"

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._query, self._envelope = self.signed(self.usual())

    def usual(self) -> bytes:
        """What comes every day."""
        return wire.notice("wk1", "ENC1", at=1)

    def signed(self, plain: bytes) -> tuple[str, bytes]:
        """The query and the body of a request that is ours."""
        return self._sealed(wire.encrypt(plain))

    def _sealed(self, encrypted: str) -> tuple[str, bytes]:
        return wire.query(encrypted), wire.envelope(encrypted)

    def request(self) -> tuple[str, bytes]:
        """A query and a body."""
        chance = self._chance
        kind = chance.randrange(6)
        if kind == 0:
            return chance.choice(_QUERIES), chance.randbytes(chance.randrange(2000))
        if kind == 1:
            return self._query, chance.randbytes(chance.randrange(2000))
        if kind == 2:
            return self._query, self._mutated(self._envelope)
        if kind == 3:
            return self._mutated(self._query.encode()).decode("latin-1").replace(" ", "+"), self._envelope
        if kind == 4:
            return self._signed_nonsense()
        return self._query, self._envelope[: chance.randrange(len(self._envelope))]

    def _signed_nonsense(self) -> tuple[str, bytes]:
        """From somebody who knows the token: random plain text, or something that is not encrypted at all."""
        plain = self._chance.randbytes(self._chance.randrange(300))
        return self.signed(plain) if self._chance.random() < 0.5 else self._sealed(plain.hex())

    def _mutated(self, words: bytes) -> bytes:
        changed = bytearray(words)
        for _ in range(self._chance.randrange(1, 8)):
            place = self._chance.randrange(len(changed))
            match self._chance.randrange(3):
                case 0:
                    changed[place] = self._chance.randrange(33, 127)
                case 1:
                    del changed[place]
                case 2:
                    changed[place:place] = bytes([self._chance.randrange(33, 127)])
        return bytes(changed)


async def _take(_notice: Notice) -> None:
    pass


class Listens(Protocol):
    """A callback."""

    def listen(self, listen: str) -> int: ...

    async def close(self) -> None: ...


async def run(count: int, seed: int, callback: Listens, storm: type[Storm]) -> int:
    """0 when no request was answered with a 500 or lost."""
    statuses: Counter[int] = Counter()
    seconds: list[float] = []
    port = callback.listen("127.0.0.1:0")
    me = psutil.Process()
    with structlog.testing.capture_logs() as logs:
        await _blow(storm, port, count=count // 10, seed=seed, statuses=statuses, seconds=seconds)
        before = me.memory_info().rss
        await _blow(storm, port, count=count - count // 10, seed=seed + 1, statuses=statuses, seconds=seconds)
        after = me.memory_info().rss
    await callback.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(
        f"{sum(statuses.values())} requests: {dict(sorted(statuses.items()))}\n"
        f"memory with client: {before >> 20} MiB after a tenth, {after >> 20} MiB in the end, peak {peak >> 10} MiB\n"
        f"{len(logs)} lines logged; a request takes {statistics.median(seconds) * 1000:.2f} ms, client included\n"
    )
    return 0 if set(statuses) <= {200, 400, 403} and not logs else 1


async def _blow(
    kind: type[Storm], port: int, *, count: int, seed: int, statuses: Counter[int], seconds: list[float]
) -> None:
    share = max(1, count // _CONNECTIONS)
    await asyncio.gather(
        *(
            _line(kind(random.Random(seed * 1000 + number)), port, share, statuses, seconds)
            for number in range(_CONNECTIONS)
        )
    )


async def _line(storm: Storm, port: int, count: int, statuses: Counter[int], seconds: list[float]) -> None:
    """One connection, made anew when the server has closed it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(count):
        query, body = storm.request()
        began = time.perf_counter()
        try:
            status = await _post(reader, writer, f"{storm.path}?{query}", body)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            status = 400  # a request line that is none is answered by closing
        if len(seconds) < _TIMED:
            seconds.append(time.perf_counter() - began)
        statuses[status] += 1
    writer.close()


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, body: bytes) -> int:
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode("latin-1") + body)
    await writer.drain()
    answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(answer.partition("content-length: ")[2].partition("\r\n")[0] or 0)
    await reader.readexactly(length)
    return int(answer.split(" ")[1])


async def _run(count: int, seed: int) -> int:
    return await run(count, seed, Callback(wire.cipher(), _take), Storm)


def main(rain: Callable[[int, int], Coroutine[Any, Any, int]] = _run) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return asyncio.run(rain(arguments.count, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
