"""Uploads files in chunks, separately from texts, with a time limit that grows with their size."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from telegram import Bot, InputFile, InputMediaDocument
from telegram.error import BadRequest, ChatMigrated, Forbidden, RetryAfter, TelegramError

from bot.channels.telegram.bot_api import never_arrived
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.multipart import Upload
from bot.outgoing.courier import TryLater, Undeliverable
from bot.outgoing.late_texts import upload_seconds
from dialogue.core.sending import UNKNOWN
from dialogue.messages import OwedText
from dialogue.rights.export import File

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_STALL_SECONDS = 30.0
"""For one piece of 64 kB."""
_ANSWER_SECONDS = 60.0
"""After the last byte: the platform stores the files before it answers."""
_MAX_FAILURES = 3


class Uploads:
    """The uploads of one bot. `begin` is told of each delivery just before its request is complete."""

    def __init__(self, bot: Bot, begin: Callable[[UUID], None]) -> None:
        self._bot = bot
        self._begin = begin
        self._incomplete: dict[UUID, asyncio.Timeout] = {}
        self._failures: Counter[UUID] = Counter()
        self._is_closing = False

    async def send(self, place: TelegramChat, text: OwedText, files: Sequence[File]) -> str:
        """One request, which arrives whole or not at all; the text stands beneath the last file.

        Raises `TryLater`, `Undeliverable`, and what `TelegramSender` answers for every request.
        """
        if self._is_closing:
            raise TryLater(0)
        try:
            return await self._send(place, text, files)
        finally:
            self._incomplete.pop(text.id, None)

    def close(self) -> None:
        """Abort incomplete uploads: the platform has not acted on them, and the next process sends them."""
        self._is_closing = True
        for deadline in self._incomplete.values():
            deadline.reschedule(asyncio.get_running_loop().time())

    async def _send(self, place: TelegramChat, text: OwedText, files: Sequence[File]) -> str:
        size = sum(len(file.content) for file in files)
        try:
            async with asyncio.timeout(upload_seconds(size)) as deadline:
                self._incomplete[text.id] = deadline
                message_id = await self._request(place, text, files)
        except (RetryAfter, Forbidden, BadRequest, ChatMigrated):
            raise
        except (TelegramError, TimeoutError) as error:
            raise self._fate(text, error) from None
        self._failures.pop(text.id, None)
        return str(message_id)

    async def _request(self, place: TelegramChat, text: OwedText, files: Sequence[File]) -> int:
        """An album has two files at least."""
        how: dict[str, Any] = {
            "message_thread_id": place.thread_id,
            "write_timeout": _STALL_SECONDS,
            "read_timeout": _ANSWER_SECONDS,
        }
        if len(files) > 1:
            messages = await self._bot.send_media_group(place.chat_id, self._documents(text, files), **how)
            return messages[-1].message_id
        upload = Upload(files[0].content, partial(self._complete, text.id))
        document = InputFile(upload, filename=files[0].name, read_file_handle=False)
        how["disable_content_type_detection"] = True  # else a picture may be sent as something else than the file it is
        return (await self._bot.send_document(place.chat_id, document, caption=text.text, **how)).message_id

    def _documents(self, text: OwedText, files: Sequence[File]) -> list[InputMediaDocument]:
        on_ends = [_nothing] * (len(files) - 1) + [partial(self._complete, text.id)]
        captions = [None] * (len(files) - 1) + [text.text]
        return [
            InputMediaDocument(
                InputFile(Upload(file.content, on_end), filename=file.name, attach=True, read_file_handle=False),
                caption=caption,
            )
            for file, on_end, caption in zip(files, on_ends, captions, strict=True)
        ]

    def _complete(self, delivery_id: UUID) -> None:
        """From here on the outcome is unknown until the platform answers."""
        if self._incomplete.pop(delivery_id, None) is not None:
            self._begin(delivery_id)

    def _fate(self, text: OwedText, error: Exception) -> TryLater | Undeliverable:
        is_incomplete = text.id in self._incomplete
        if not is_incomplete and not (isinstance(error, TelegramError) and never_arrived(error)):
            return Undeliverable(UNKNOWN)
        if self._is_closing:
            return TryLater(0)
        self._failures[text.id] += 1
        log.warning("upload_failed", error=type(error).__name__, count=self._failures[text.id])
        if self._failures[text.id] < _MAX_FAILURES:
            return TryLater()
        del self._failures[text.id]
        return Undeliverable("upload_failed")


def _nothing() -> None:
    pass
