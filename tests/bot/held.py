"""A conversation that somebody at the console holds, and what they get to see of its person's pictures."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from bot.services import BotServices
from dialogue.admin import takeover
from dialogue.admin.office import Actor
from dialogue.core import media
from dialogue.messages import Address
from dialogue.states import MediumState
from dialogue.storage.clock import utc_now
from dialogue.tables import CONVERSATIONS, MEDIA
from tests.patience import until


async def hold(services: BotServices, *, by: Address | None = None) -> UUID:
    """Take over the only conversation there is, from the console or from a chat."""

    def ids() -> list[UUID]:
        with services.database.read() as session:
            return list(session.scalars(select(CONVERSATIONS.c.id)))

    await until(lambda: len(ids()) == 1)
    (conversation_id,) = ids()
    actor = Actor(name="console:lin") if by is None else Actor.at(by)
    with services.database.begin() as session:
        takeover.take_over(session, services.office, conversation_id, by=actor, now=utc_now())
    return conversation_id


async def settled(services: BotServices) -> tuple[Any, bytes]:
    """The only thing that was shown, once it is there or lost; and its content."""

    def rows() -> list[Any]:
        with services.database.read() as session:
            return list(session.execute(select(MEDIA)))

    await until(lambda: [row.state for row in rows()] in ([MediumState.KEPT], [MediumState.LOST]))
    (row,) = rows()
    with services.database.read() as session:
        return row, media.content(session, services.keys, row.id)
