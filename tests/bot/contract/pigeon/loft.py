"""The platform: it calls whoever is connected, repeats what nobody acknowledged, and takes each delivery once.

Both sides write JSON objects, one a line.
"""

import asyncio
import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from tests.services.listening import ListeningServer

MAX_SENDS = 10
MAX_BYTES = 600


class Loft:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.acknowledged: set[str] = set()
        self.fates: list[str] = []
        """Of the next texts, in place of `sent`."""
        self.last_turn = ""
        self._events: dict[str, dict[str, Any]] = {}
        self._ids: Iterator[int] = count(1)
        self._last = ""
        self._sent: set[str] = set()
        self._sends_left = 0
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        self._server = await ListeningServer(self._serve).start()
        self.endpoint = f"127.0.0.1:{self._server.port}"

    async def close(self) -> None:
        await self._server.close()

    def bring(self, kind: str, **values: object) -> None:
        """Something of the person: `text`, `picture` or `rating`."""
        self._last = f"letter-{next(self._ids)}"
        self._events[self._last] = {"event": self._last, "who": "ring-7", "kind": kind, **values}
        self._sends_left = MAX_SENDS
        self._tell(self._events[self._last])

    def repeat(self) -> None:
        self._tell(self._events[self._last])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        for name, event in self._events.items():
            if name not in self.acknowledged:
                self._tell(event)
        async for line in reader:
            said = json.loads(line)
            if "ack" in said:
                self.acknowledged.add(said["ack"])
            else:
                self._tell({"delivery": said["delivery"], "fate": self._take(said)})

    def _take(self, said: dict[str, Any]) -> str:
        if said["delivery"] in self._sent:
            return "sent"
        if self.fates:
            return self.fates.pop(0)
        if not self._sends_left or len(said["text"].encode()) > MAX_BYTES:
            return "never"
        self._sends_left -= 1
        self._sent.add(said["delivery"])
        self.told.append(said["text"])
        self.last_turn = said["turn"]
        return "sent"

    def _tell(self, words: dict[str, Any]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps(words).encode() + b"\n")
