"""Renders texts at send time that were never stored: the farewell after an erasure, and a person's own data.

Where a channel can send files the data goes as files; elsewhere as text, in parts that are sealed like everything
that is owed. Pictures and voice for a human on another platform than the person's become files here too.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from bot.executors import Executors, PriorityExecutor
from bot.outgoing.courier import FORBIDDEN, Sender, TryLater, Undeliverable
from care.hotlines import Directory
from care.languages import spelled, spoken
from care.texts import Texts
from dialogue.admin import find
from dialogue.core import media, media_marks, medium_words, pending, sending
from dialogue.core.media import SeenMedium
from dialogue.errors import DatabaseUnavailable, Erased, Unreadable, WrongSecretKey
from dialogue.messages import OwedText
from dialogue.rights import export, personal_data
from dialogue.rights.export import File, Part
from dialogue.rights.personal_data import PersonalData
from dialogue.states import DeliveryKind
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.storage.vault import MasterKeys

SendFiles = Callable[[OwedText, Sequence[File]], Awaitable[str | None]]
"""Sends all files of a delivery, whose text says what they are; raises as `Sender.send` does.

It gives up after `upload_seconds`.
"""

MAX_FILE_BYTES = 40_000_000
"""Of all files that are sent together; Telegram takes 50 MB: https://core.telegram.org/bots/api#sending-files"""
MAX_EXPORTS = 4
"""Sent as files at the same time on one channel; further ones keep no place of the courier, and no memory."""
_BUSY_SECONDS = 5.0
_FORGET_AGAIN_SECONDS = 1.0
_FORGET_ATTEMPTS = 60
"""Then the housekeeper goes on trying, and the person hears that it takes up to a day."""
_SLOWEST_BYTES_PER_SECOND = 25_000
_UPLOAD_GRACE_SECONDS = 60.0
_LEASE_GRACE_SECONDS = 120.0


def upload_seconds(size: int) -> float:
    """How long files of `size` bytes may take: half an hour for the largest, on a line of 200 kbit/s."""
    return _UPLOAD_GRACE_SECONDS + size / _SLOWEST_BYTES_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class LateTexts:
    """What is needed to write; one for all channels of a process."""

    database: Database
    keys: MasterKeys
    texts: Texts
    directory: Directory
    forget: Callable[[], bool]
    """`dialogue.upkeep.forgetting.Forgetting.forget`"""
    copies_days: int = 0
    link: Callable[[UUID], str] = lambda _conversation_id: ""
    """The page of a conversation in the console, if there is one."""
    clock: Clock = utc_now

    def language_of(self, owed: OwedText) -> str | None:
        """What the delivery's recipient is spoken to in."""
        with self.database.read() as session:
            return pending.language_of(session, owed.id)

    def texts_in(self, language: str | None) -> Texts:
        return spoken(self.texts, language)

    def farewell(self, language: str | None, *, is_gone: bool) -> str:
        """What is said when there is no key any more; `is_gone`: no file within our reach holds it."""
        days = self.copies_days if is_gone else max(1, self.copies_days)
        texts = self.texts_in(language)
        fillings = self.directory.fillings(texts.locale)
        if days:
            return spelled(texts.say("rights_farewell_copies", days=days, **fillings), language)
        return spelled(texts.say("rights_farewell", **fillings), language)

    def caption(self, part: Part, texts: Texts) -> str:
        """What stands beside the files."""
        notice = texts.say("disclosure_export")
        if part.count == 1:
            return texts.say("rights_export_caption", notice=notice)
        return texts.say("rights_export_part", number=part.number, count=part.count, notice=notice)

    def regret(self, reason: str, texts: Texts) -> str:
        """What is said when the files, or some of them, could not be sent."""
        return texts.say("rights_export_unknown" if reason == sending.UNKNOWN else "rights_export_failed")

    def gather(self, owed: OwedText) -> PersonalData:
        """All stored data of the delivery's recipient; raises `DialogueError`."""
        with self.database.read() as session:
            return personal_data.of_delivery(session, self.keys, owed.id)

    def files(self, data: PersonalData, part: Part, texts: Texts, *, max_bytes: int) -> tuple[File, ...]:
        """With what was kept of pictures, voice and files, as far as it fits; raises `DialogueError`."""
        with self.database.read() as session:
            wanted = export.media_of(data, part, max_bytes=max_bytes)
            contents = {one.id: content for one in wanted if (content := media.content(session, self.keys, one.id))}
        return export.files(data, texts, part=part, contents=contents, now=self.clock())

    def readable(self, data: PersonalData, texts: Texts) -> str:
        return export.as_text(data, texts, now=self.clock())

    def medium(self, medium_id: UUID) -> tuple[SeenMedium, str, bytes] | None:
        """What a person showed, the short id of the conversation, and the content; None if it is there no more.

        Raises `DialogueError`.
        """
        with self.database.read() as session:
            seen = media.one(session, self.keys, medium_id)
            content = media.content(session, self.keys, medium_id)
            return (seen, find.short_id(session, seen.conversation_id), content) if seen and content else None

    def prolong(self, owed: OwedText, seconds: float) -> None:
        """Nobody else settles the delivery for so long."""
        with self.database.begin() as session:
            sending.prolong(session, owed.id, until=self.clock() + timedelta(seconds=seconds))

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
        max_file_bytes: int = MAX_FILE_BYTES,
        executor: PriorityExecutor | None = None,
    ) -> None:
        self.name = sender.name
        self._sender = sender
        self._pen = pen
        self._send_files = send_files
        self._split = split
        self._max_file_bytes = max_file_bytes
        self._running_count = 0
        self._executor = executor or Executors().exports

    async def send(self, text: OwedText) -> str | None:
        if text.kind is DeliveryKind.FAREWELL:
            return await self._sender.send(await self._farewell(text))
        if text.kind is DeliveryKind.EXPORT:
            return await self._send_export(text)
        if text.kind is DeliveryKind.RELAY and (medium_id := media_marks.kept_in(text.text)) is not None:
            return await self._send_medium(text, medium_id)
        return await self._sender.send(text)

    async def _farewell(self, owed: OwedText) -> OwedText:
        """They are told once it is true; who waited for long is told what is true."""
        language = None
        try:
            language = await self._executor.run(partial(self._pen.language_of, owed))
            is_gone = await self._executor.run(self._pen.forget)
        except DatabaseUnavailable:
            if owed.attempt < _FORGET_ATTEMPTS:
                raise TryLater(_FORGET_AGAIN_SECONDS) from None
            is_gone = False
        return replace(owed, text=self._pen.farewell(language, is_gone=is_gone))

    async def _send_medium(self, owed: OwedText, medium_id: UUID) -> str | None:
        """As a file, where the channel can send some that large; else whoever holds it is told where to look."""
        texts = self._pen.texts
        try:
            found = await self._executor.run(partial(self._pen.medium, medium_id))
        except DatabaseUnavailable:
            raise TryLater from None
        except (Erased, Unreadable, WrongSecretKey) as trouble:
            raise Undeliverable(type(trouble).__name__) from None
        if found is None:
            return await self._sender.send(replace(owed, text=texts.say("takeover_medium_gone")))
        seen, short_id, content = found
        told = {"id": short_id, **medium_words.named(seen, texts)}
        if self._send_files is None or len(content) > self._max_file_bytes:
            told["link"] = self._pen.link(seen.conversation_id)
            return await self._sender.send(replace(owed, text=texts.say("takeover_medium_elsewhere", **told)))
        file = File(name=medium_words.file_name(seen), content=content)
        await self._executor.run(partial(self._pen.prolong, owed, upload_seconds(len(content)) + _LEASE_GRACE_SECONDS))
        return await self._send_files(replace(owed, text=texts.say("takeover_medium", **told)), [file])

    async def _send_export(self, owed: OwedText) -> str | None:
        texts = self._pen.texts
        try:
            texts = self._pen.texts_in(await self._executor.run(partial(self._pen.language_of, owed)))
            if self._send_files is not None:
                return await self._send_as_files(owed, texts, self._send_files)
            return await self._sender.send(
                owed if owed.text else await self._executor.run(partial(self._written, owed, texts))
            )
        except DatabaseUnavailable:
            raise TryLater from None
        except Erased:
            raise Undeliverable("erased") from None
        except (Unreadable, WrongSecretKey) as trouble:
            raise Undeliverable(type(trouble).__name__) from None
        except Undeliverable as refusal:
            if refusal.reason == FORBIDDEN:
                raise
            raise Undeliverable(refusal.reason, telling=self._pen.regret(refusal.reason, texts)) from None

    async def _send_as_files(self, owed: OwedText, texts: Texts, send_files: SendFiles) -> str | None:
        if self._running_count >= MAX_EXPORTS:
            raise TryLater(_BUSY_SECONDS)
        self._running_count += 1
        try:
            return await self._make_and_send(owed, texts, send_files)
        finally:
            self._running_count -= 1

    async def _make_and_send(self, owed: OwedText, texts: Texts, send_files: SendFiles) -> str | None:
        part, files = await self._executor.run(partial(self._files_of, owed, texts))
        seconds = upload_seconds(sum(len(file.content) for file in files)) + _LEASE_GRACE_SECONDS
        await self._executor.run(partial(self._pen.prolong, owed, seconds))
        return await send_files(replace(owed, text=self._pen.caption(part, texts)), files)

    def _files_of(self, owed: OwedText, texts: Texts) -> tuple[Part, tuple[File, ...]]:
        """Of the part that `owed` stands for, or of the first one if it was not split before."""
        data = self._pen.gather(owed)
        if owed.text:
            part = Part.read(owed.text)
        else:
            parts = export.parts(data, max_bytes=self._max_file_bytes)
            part = parts[0]
            if len(parts) > 1:
                self._pen.split(owed, [one.written() for one in parts])
        return part, self._pen.files(data, part, texts, max_bytes=self._max_file_bytes)

    def _written(self, owed: OwedText, texts: Texts) -> OwedText:
        text = self._pen.readable(self._pen.gather(owed), texts)
        parts = self._split(text) if self._split is not None else [text]
        return replace(owed, text=text) if len(parts) == 1 else self._pen.split(owed, parts)
