"""The adapter's database access for turns; each call is one transaction in a thread.

All but `reply_to` is for display and runs in the display threads, so that no text waits for it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from bot.channels.telegram import CHANNEL
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.updates import message_id_in
from bot.executors import Executors, PriorityExecutor
from dialogue.core import chat_moves, history, pending, placeholders
from dialogue.core.placeholders import StalePlaceholder
from dialogue.states import DeliveryKind
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.storage.vault import MasterKeys

T = TypeVar("T")


class Records:
    """Raises `DatabaseUnavailable` everywhere."""

    def __init__(
        self, database: Database, keys: MasterKeys, *, executors: Executors | None = None, clock: Clock = utc_now
    ) -> None:
        self._database = database
        self._keys = keys
        self._executors = executors or Executors()
        self._clock = clock

    async def waiting(self) -> list[tuple[UUID, TelegramChat]]:
        """Who waits for a reply."""
        turns = await self._read(lambda session: pending.waiting_turns(session, CHANNEL))
        return [(turn_id, TelegramChat.at(address)) for turn_id, address in turns]

    async def is_awaited(self, turn_id: UUID) -> bool:
        return await self._read(lambda session: pending.is_awaited(session, turn_id))

    async def is_next(self, turn_id: UUID, place: TelegramChat) -> bool:
        """Whether the reply to that turn is the next text that is said there."""
        return await self._read(lambda session: pending.unanswered(session, place.address())[:1] == [turn_id])

    async def open_partial(self, turn_id: UUID, sealed: bytes) -> str | None:
        """The words of a growing reply; raises `DialogueError` for what cannot be opened."""
        opened = await self._read(lambda session: history.open_partial(session, self._keys, turn_id, sealed))
        return opened[1] if opened is not None else None

    async def placeholder_of(self, turn_id: UUID) -> int | None:
        message_id = await self._read(lambda session: placeholders.of_turn(session, turn_id))
        return int(message_id) if message_id is not None else None

    async def note_placeholder(self, turn_id: UUID, message_id: int) -> None:
        placeholder, now = str(message_id), self._clock()
        await self._write(lambda session: placeholders.note(session, turn_id, platform_message_id=placeholder, now=now))

    async def move(self, before: int, after: int) -> None:
        """A group became a supergroup: conversations, memory and what is owed go along."""

        def follow(session: Session) -> None:
            chat_moves.move_chat(session, CHANNEL, before=str(before), after=str(after), now=self._clock())

        await self._write(follow)

    async def language_of(self, delivery_id: UUID) -> str | None:
        """What the person who is owed that text is spoken to in."""
        return await self._read(
            lambda session: pending.language_of(session, delivery_id), executor=self._executors.delivery
        )

    async def latest_notice(self, place: TelegramChat) -> int | None:
        """The message that asked for consent there last."""
        message_id = await self._read(lambda session: pending.last_sent(session, place.address(), DeliveryKind.CONSENT))
        return int(message_id) if message_id is not None else None

    async def stale(self, since: datetime) -> list[StalePlaceholder]:
        """Placeholders made since then that no reply will replace."""
        return await self._read(lambda session: placeholders.stale(session, CHANNEL, since=since))

    async def stale_of(self, turn_id: UUID) -> StalePlaceholder | None:
        """The placeholder of that turn, if no reply will replace it."""
        return await self._read(lambda session: placeholders.stale_of(session, turn_id))

    async def taken_down(self, placeholder_id: UUID) -> None:
        """Record that the placeholder is gone."""
        await self._write(lambda session: placeholders.taken_down(session, placeholder_id))

    async def reply_to(self, turn_id: UUID, chat_id: int) -> int | None:
        """The message that the reply to that turn answers; None where it has no such id, as in a group that moved."""
        external_id = await self._read(
            lambda session: pending.last_external_id(session, turn_id), executor=self._executors.delivery
        )
        return message_id_in(chat_id, external_id) if external_id is not None else None

    async def _read(self, question: Callable[[Session], T], *, executor: PriorityExecutor | None = None) -> T:
        def ask() -> T:
            with self._database.read() as session:
                return question(session)

        return await (executor or self._executors.display).run(ask)

    async def _write(self, deed: Callable[[Session], None]) -> None:
        def do() -> None:
            with self._database.begin() as session:
                deed(session)

        await self._executors.display.run(do)
