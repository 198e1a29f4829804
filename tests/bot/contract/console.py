"""A seat at the terminal."""

import asyncio
import io
import queue
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

from bot.channels.terminal import CHANNEL
from bot.channels.terminal.console import Console, ConsoleFiles, ConsoleSender
from bot.channels.terminal.manifest import MANIFEST
from bot.incoming.receipt import Receipt
from bot.outgoing.courier import Courier
from bot.outgoing.late_texts import LateTextSender
from bot.outgoing.listener import Listener
from bot.services import BotServices
from dialogue.core import pending
from dialogue.messages import Address, InboundMessage

_LABEL = "支持者:"
_NOBODY = "小王"


__all__ = ["MANIFEST", "open_seat"]


@asynccontextmanager
async def open_seat(services: BotServices, directory: Path) -> AsyncIterator["ConsoleSeat"]:
    yield ConsoleSeat(services, directory / "exports")


class ConsoleSeat:
    channel = MANIFEST

    def __init__(self, services: BotServices, exports: Path) -> None:
        self._services = services
        self._exports = exports
        self._address = Address(channel=CHANNEL, chat_id=_NOBODY)
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._last = ""
        self._acknowledged = 0
        self._out = io.StringIO()
        self._is_open = False

    async def start(self) -> None:
        self._is_open = True
        self._sender = ConsoleSender()
        files = ConsoleFiles(self._sender, self._exports, self._services.texts)
        self._courier = Courier(
            database=self._services.database,
            keys=self._services.keys,
            sender=LateTextSender(self._sender, self._services.pen, send_files=files.send),
            chat_id=self._address.chat_id,
        )
        listener = Listener(self._services.broker_url, CHANNEL, on_owed=self._courier.wake)
        self._tasks = [asyncio.create_task(self._courier.run()), asyncio.create_task(listener.run())]
        console = Console(
            sender=self._sender,
            texts=self._services.texts,
            address=self._address,
            read_line=self._read_line,
            say=self._say,
            is_open=self._is_awaited,
            out=self._out,
            status=lambda _line: None,
            is_streaming=False,
        )
        self._thread = threading.Thread(target=partial(self._sit, console))
        self._thread.start()

    async def stop(self) -> None:
        self._is_open = False
        self._lines.put(None)
        await asyncio.to_thread(self._thread.join)
        self._sender.close()
        self._courier.stop()
        await self._tasks[0]
        self._tasks[1].cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def say(self, text: str) -> None:
        self._last = text
        self._lines.put(text)

    def say_again(self) -> None:
        self.say(self._last)

    def acknowledged_count(self) -> int:
        return self._acknowledged

    def told(self) -> list[str]:
        return [text.removesuffix("\n") for text in self._out.getvalue().split(_LABEL)[1:]]

    def handed_over(self) -> str:
        return "\n".join([*self.told(), *(file.read_text("utf-8") for file in self._exports.glob("*"))])

    def _sit(self, console: Console) -> None:
        """The person ends the conversation by opening the terminal again."""
        while self._is_open:
            with self._services.database.read() as session:
                unanswered = pending.unanswered(session, self._address)
            console.run(unanswered)

    def _read_line(self, _label: str) -> str:
        line = self._lines.get()
        if line is None:
            raise EOFError
        return line

    def _say(self, message: InboundMessage) -> Receipt:
        receipt = self._services.inbox.receive_blocking(message)
        self._acknowledged += 1
        return receipt

    def _is_awaited(self, awaited: UUID) -> bool:
        with self._services.database.read() as session:
            return self._is_open and pending.is_awaited(session, awaited)
