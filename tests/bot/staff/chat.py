"""Short ways to talk with the bot as an admin, and to see what it owes."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import select

from bot.services import BotServices
from dialogue.core import claiming, people, sending
from dialogue.messages import Address, InboundMessage
from dialogue.states import TurnState
from dialogue.storage.vault import PersonKey
from dialogue.tables import Person, Turn
from tests.builders import Rooms

BOSS = Address(channel="telegram", chat_id="42")
OTHER = Address(channel="telegram", chat_id="43")
PERSON = Address(channel="test", chat_id="小王")
ME = UUID(int=1)


def written(text: str, *, by: Address = BOSS, reply_to_id: str | None = None) -> InboundMessage:
    return InboundMessage(
        address=by,
        account="bot",
        user_id=by.chat_id,
        external_id=uuid4().hex,
        text=text,
        sent_at=datetime(2026, 11, 21, tzinfo=UTC),
        is_private=True,
        reply_to_id=reply_to_id,
    )


async def order(services: BotServices, text: str, *, by: Address = BOSS, reply_to_id: str | None = None) -> str:
    """An admin's message and the answer to it."""
    owed(services, by)
    receipt = await services.inbox.receive(written(text, by=by, reply_to_id=reply_to_id))
    assert receipt.turn_id is None
    return "\n".join(owed(services, by))


def owed(services: BotServices, address: Address) -> list[str]:
    """What is owed there now, as the platform takes it; each is sent, and known as its own text's hash."""
    rooms = Rooms(services.database, services.keys)
    texts: list[str] = []
    rooms.clock.tick(365 * 86400)
    while True:
        with services.database.begin() as session:
            claimed = claiming.claim_due(
                session,
                services.keys,
                address.channel,
                owner=ME,
                lease_seconds=60,
                limit=9,
                now=rooms.clock(),
                chat_id=address.chat_id,
            )
            for one in claimed:
                sending.mark_sent(session, one.id, owner=ME, platform_message_id=f"p-{one.text}", now=rooms.clock())
        if not claimed:
            return texts
        texts += [one.text for one in claimed]


def short(conversation_id: UUID | None) -> str:
    assert conversation_id is not None
    return conversation_id.hex[:14]


def states(services: BotServices) -> list[TurnState]:
    with services.database.read() as session:
        return list(session.scalars(select(Turn.state).order_by(Turn.id)))


def person_id(services: BotServices, user_id: str) -> UUID:
    with services.database.read() as session:
        return session.scalars(select(Person.id).where(Person.user_id == user_id)).one()


def person_key(services: BotServices, user_id: str) -> PersonKey:
    with services.database.read() as session:
        return people.key_of(session, services.keys, person_id(services, user_id))
