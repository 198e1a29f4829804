"""The terminal as a channel: one chat, one person, the seed's own loop.

The loop belongs to the main thread, where Ctrl-C arrives; courier and listener run on an event loop beside it and
hand over what is to be shown.
"""

import asyncio
import os
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO
from uuid import UUID, uuid4

from bot.channels.terminal import CHANNEL
from bot.incoming.receipt import Receipt
from bot.outgoing.courier import TryLater
from bot.outgoing.markdown import plain, plain_so_far
from care.texts import Texts
from dialogue.core.commands import Command
from dialogue.errors import DatabaseUnavailable
from dialogue.messages import Address, InboundMessage, OwedText
from dialogue.rights.export import File
from dialogue.states import DeliveryKind
from dialogue.storage.clock import utc_now

_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Partial:
    turn_id: UUID
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Final:
    owed: OwedText
    shown: Future[None]


class Closing(Exception):
    """The terminal is closing; texts not shown yet stay in the outbox."""


class ConsoleSender:
    """Hands texts to the terminal's loop, and calls them sent when they are on the screen."""

    name = CHANNEL

    def __init__(self, on_reply: Callable[[], object] = lambda: None) -> None:
        self._on_reply = on_reply
        self.events: queue.Queue[_Partial | _Final] = queue.Queue()
        self._is_closed = False

    async def send(self, text: OwedText) -> str | None:
        """Returns once the text was shown; raises `TryLater` when the terminal is left first."""
        if self._is_closed:
            raise TryLater(0)
        shown: Future[None] = Future()
        if text.kind is DeliveryKind.REPLY:
            text = replace(text, text=plain(text.text))
        self.events.put(_Final(text, shown))
        try:
            await asyncio.wrap_future(shown)
        except Closing:
            raise TryLater(0) from None
        if text.kind is DeliveryKind.REPLY:
            self._on_reply()
        return None

    def show_partial(self, turn_id: UUID, text: str) -> None:
        """The reply so far."""
        self.events.put(_Partial(turn_id, plain_so_far(text)))

    def close(self) -> None:
        """Release texts that were never shown."""
        self._is_closed = True
        while not self.events.empty():
            event = self.events.get_nowait()
            if isinstance(event, _Final):
                event.shown.set_exception(Closing())


class ConsoleFiles:
    """Files are written beside the database, readable by this user only, and their paths are printed."""

    def __init__(self, sender: ConsoleSender, directory: Path, texts: Texts) -> None:
        self._sender = sender
        self._directory = directory
        self._texts = texts

    async def send(self, text: OwedText, files: Sequence[File]) -> str | None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = [self._write(file) for file in files]
        words = self._texts.say("rights_export_saved", text_file=paths[0], json_file=paths[-1])
        return await self._sender.send(replace(text, text=words))

    def _write(self, file: File) -> Path:
        path = self._directory / file.name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
            handle.write(file.content)
        return path


class Console:
    """Reads a line, says it, shows the answer; until 结束对话 or the end of the input."""

    def __init__(
        self,
        *,
        sender: ConsoleSender,
        texts: Texts,
        address: Address,
        read_line: Callable[[str], str],
        say: Callable[[InboundMessage], Receipt],
        is_open: Callable[[UUID], bool],
        out: TextIO,
        status: Callable[[str], None],
        is_streaming: bool,
    ) -> None:
        self._sender = sender
        self._texts = texts
        self._address = address
        self._read_line = read_line
        self._say = say
        self._is_open = is_open
        self._out = out
        self._status = status
        self._is_streaming = is_streaming

    def run(self, unanswered: list[UUID]) -> None:
        """`unanswered` are the turns of last time that are still to be answered, or whose answer is still owed."""
        for turn_id in unanswered:
            self._show_answer(turn_id)
        while True:
            try:
                line = self._read_line(self._texts.say("console_client"))
            except EOFError:
                return
            if not line.strip():
                continue
            try:
                receipt = self._say(self._message(line))
            except DatabaseUnavailable as error:
                self._status(self._texts.say("console_unsaved", reason=error))
                continue
            if awaited := receipt.turn_id or receipt.answered_at_once:
                self._show_answer(awaited)
            if receipt.command is Command.END:
                return

    def _message(self, line: str) -> InboundMessage:
        return InboundMessage(
            address=self._address,
            account="terminal",
            user_id=self._address.chat_id,
            external_id=uuid4().hex,
            text=line,
            sent_at=utc_now(),
            is_private=True,
        )

    def _show_answer(self, awaited: UUID | None) -> None:
        """Until the answer to that turn (or the text with that id) was shown, or never will be."""
        printed = _Printed(self._out, self._texts.say("console_supporter"))
        waited_seconds = 0.0
        while True:
            try:
                event = self._sender.events.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                waited_seconds += _LOOK_SECONDS
                if waited_seconds == _PATIENCE_SECONDS:
                    self._status(self._texts.say("console_waiting"))
                if awaited is not None and not self._is_open(awaited):
                    return
                continue
            if isinstance(event, _Partial):
                if self._is_streaming and event.turn_id == awaited:
                    printed.grow(event.text)
                continue
            printed.finish(event.owed.text)
            event.shown.set_result(None)
            if awaited in {event.owed.turn_id, event.owed.id}:
                return
            printed = _Printed(self._out, self._texts.say("console_supporter"))


class _Printed:
    """One answer on the screen, while it grows."""

    def __init__(self, out: TextIO, label: str) -> None:
        self._out = out
        self._label = label
        self._text = ""

    def grow(self, text: str) -> None:
        if not text.startswith(self._text) or text == self._text:
            return
        self._write(text[len(self._text) :] if self._text else f"{self._label}{text}")
        self._text = text

    def finish(self, text: str) -> None:
        """The final words; if they are not what was growing, they get a line of their own."""
        if self._text and not text.startswith(self._text):
            self._write("\n")
            self._text = ""
        self.grow(text)
        self._write("\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
