"""A model beside the channel under test: answers whatever waits, in the test's own process, or is held back."""

import asyncio
from collections.abc import Callable
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.services import BotServices
from dialogue.core import turns
from dialogue.core.turn_claims import claim_open
from dialogue.core.turns import ClaimedTurn
from dialogue.states import TurnState
from dialogue.storage.clock import utc_now
from dialogue.tables import Turn
from tests.builders import reply

_LOOK_SECONDS = 0.02


def echo(text: str) -> str:
    return f"收到：{text}"


class Model:
    """Owns the turns that it claims, as a worker does."""

    def __init__(self, services: BotServices) -> None:
        self.says: Callable[[str], str] = echo
        self._services = services
        self._owner = uuid4()

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            turn = await self.begin()
            await self.finish(turn)

    async def begin(self) -> ClaimedTurn:
        """The next turn that waits; it is being answered from now on."""
        while (turn := await asyncio.to_thread(self._claim)) is None:
            await asyncio.sleep(_LOOK_SECONDS)
        return turn

    async def finish(self, turn: ClaimedTurn) -> None:
        """Say it, if somebody still waits for it."""
        await asyncio.to_thread(self._complete, turn)

    async def finish_with_the_next(self, turn: ClaimedTurn) -> None:
        """The turn behind it is answered before a courier can have looked: both replies are owed at once."""
        await asyncio.to_thread(self._complete_both, turn)

    def _claim(self) -> ClaimedTurn | None:
        conversation_id = self._waiting()
        if conversation_id is None:
            return None
        with self._services.database.begin() as session:
            return self._claim_in(session, conversation_id)

    def _claim_in(self, session: Session, conversation_id: UUID) -> ClaimedTurn | None:
        claimed = claim_open(
            session,
            self._services.keys,
            owner=self._owner,
            lease_seconds=60,
            limit=1,
            max_attempts=3,
            max_turns=12,
            now=utc_now(),
            conversation_id=conversation_id,
        )
        return claimed[0] if claimed else None

    def _waiting(self) -> UUID | None:
        with self._services.database.read() as session:
            return session.scalar(select(Turn.conversation_id).where(Turn.state == TurnState.WAITING).limit(1))

    def _complete(self, turn: ClaimedTurn) -> None:
        with self._services.database.begin() as session:
            self._complete_in(session, turn)
        self._services.signals.owe([turn.address.channel])

    def _complete_both(self, turn: ClaimedTurn) -> None:
        with self._services.database.begin() as session:
            self._complete_in(session, turn)
            behind = self._claim_in(session, turn.conversation_id)
            assert behind is not None
            self._complete_in(session, behind)
        self._services.signals.owe([turn.address.channel])

    def _complete_in(self, session: Session, turn: ClaimedTurn) -> None:
        turns.complete(session, turn, reply(self.says(turn.text)), owner=self._owner, now=utc_now())
