"""Writes at the moment of sending what was not stored: the farewell after an erasure, and a person's own data.

Where a channel can send files the data goes as files; elsewhere as text, in parts that are sealed like everything
that is owed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from bot.outgoing.courier import Sender, TryLater, Undeliverable
from care.hotlines import Directory
from care.texts import Texts
from dialogue.core import sending
from dialogue.errors import DatabaseUnavailable, Erased, Unreadable, WrongSecretKey
from dialogue.messages import OwedText
from dialogue.rights import export, personal_data
from dialogue.rights.export import File
from dialogue.rights.personal_data import PersonalData
from dialogue.states import DeliveryKind
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.storage.vault import MasterKeys

SendFiles = Callable[[OwedText, Sequence[File]], Awaitable[str | None]]
"""Sends all files of a delivery, whose text says what they are; raises as `Sender.send` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateTexts:
    """What is needed to write; one for all channels of a process."""

    database: Database
    keys: MasterKeys
    texts: Texts
    directory: Directory
    clock: Clock = utc_now

    def farewell(self) -> str:
        """What is said when there is no key any more."""
        return self.texts.say("rights_farewell", **self.directory.fillings(self.texts.locale))

    def caption(self) -> str:
        """What stands beside the files."""
        return self.texts.say("rights_export_caption", notice=self.texts.say("disclosure_export"))

    def gather(self, owed: OwedText) -> PersonalData:
        """What is kept of whoever that is owed to; raises `DialogueError`."""
        with self.database.read() as session:
            return personal_data.of_delivery(session, self.keys, owed.id)

    def files(self, data: PersonalData) -> tuple[File, File]:
        return export.files(data, self.texts, now=self.clock())

    def readable(self, data: PersonalData) -> str:
        return export.as_text(data, self.texts, now=self.clock())

    def split(self, owed: OwedText, parts: Sequence[str]) -> OwedText:
        """The first part; the others are owed right behind it, sealed."""
        with self.database.begin() as session:
            return sending.split(session, self.keys, owed, parts)


class LateTextSender:
    """A channel's sender that gets every text written."""

    def __init__(
        self,
        sender: Sender,
        pen: LateTexts,
        *,
        send_files: SendFiles | None = None,
        split: Callable[[str], list[str]] | None = None,
    ) -> None:
        self.name = sender.name
        self._sender = sender
        self._pen = pen
        self._send_files = send_files
        self._split = split

    async def send(self, text: OwedText) -> str | None:
        if text.kind is DeliveryKind.FAREWELL:
            return await self._sender.send(replace(text, text=self._pen.farewell()))
        if text.kind is DeliveryKind.EXPORT and not text.text:
            return await self._send_data(text)
        return await self._sender.send(text)

    async def _send_data(self, owed: OwedText) -> str | None:
        try:
            data = await asyncio.to_thread(self._pen.gather, owed)
            if self._send_files is not None:
                files = await asyncio.to_thread(self._pen.files, data)
                return await self._send_files(replace(owed, text=self._pen.caption()), files)
            text = await asyncio.to_thread(self._pen.readable, data)
            return await self._sender.send(await asyncio.to_thread(self._first_part, owed, text))
        except DatabaseUnavailable:
            raise TryLater from None
        except Erased:
            raise Undeliverable("erased") from None
        except (Unreadable, WrongSecretKey) as trouble:
            raise Undeliverable(type(trouble).__name__) from None

    def _first_part(self, owed: OwedText, text: str) -> OwedText:
        parts = self._split(text) if self._split is not None else [text]
        return replace(owed, text=text) if len(parts) == 1 else self._pen.split(owed, parts)
