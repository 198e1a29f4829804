"""The adapter's questions to the database; each is one transaction in a thread."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from bot.admission import URGENT
from bot.services import BotServices
from dialogue.core import feedback, pending
from dialogue.messages import Address

T = TypeVar("T")


class OaRecords:
    """Raises `DatabaseUnavailable` everywhere."""

    def __init__(self, services: BotServices) -> None:
        self._services = services

    async def message_of(self, turn_id: UUID) -> str | None:
        """The platform's id of the message that the reply to that turn answers."""
        return await self._ask(lambda session: pending.last_external_id(session, turn_id))

    async def last_reply(self, address: Address) -> UUID | None:
        """The turn that was answered last there."""
        return await self._ask(lambda session: feedback.latest_reply(session, address))

    async def waits_for_words(self, address: Address) -> bool:
        """Whether something is owed there, or being thought about."""
        return bool(await self._ask(lambda session: pending.unanswered(session, address)))

    async def open_turn(self, address: Address) -> UUID | None:
        """The last turn there that nobody has answered."""
        turns = await self._ask(lambda session: pending.open_turns(session, address))
        return turns[-1] if turns else None

    async def _ask(self, question: Callable[[Session], T]) -> T:
        return await self._services.executors.delivery.run(partial(self._in_reading, question), priority=URGENT)

    def _in_reading(self, question: Callable[[Session], T]) -> T:
        with self._services.database.read() as session:
            return question(session)
