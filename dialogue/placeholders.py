"""A platform's message that stands where a reply shall be: a sent row of the reply's turn, with a part of its own."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from dialogue.database import insert_or_ignore
from dialogue.ids import new_id
from dialogue.outbox import PLACEHOLDER_PART
from dialogue.states import DeliveryKind, DeliveryState
from dialogue.tables import CONVERSATIONS, DELIVERIES, TURNS

_PLACE_OF_TURN = (
    select(CONVERSATIONS.c.id, CONVERSATIONS.c.person_id, CONVERSATIONS.c.channel, CONVERSATIONS.c.chat_id)
    .join(TURNS, TURNS.c.conversation_id == CONVERSATIONS.c.id)
    .where(TURNS.c.id == bindparam("of_turn"))
)
_PLACEHOLDER = select(DELIVERIES.c.platform_message_id).where(
    DELIVERIES.c.turn_id == bindparam("of_turn"), DELIVERIES.c.part == PLACEHOLDER_PART
)


def of_turn(session: Session, turn_id: UUID) -> str | None:
    """The platform's id of the message that stands where the reply to that turn shall be."""
    return session.scalar(_PLACEHOLDER, {"of_turn": turn_id})


def note(session: Session, turn_id: UUID, *, platform_message_id: str, now: datetime) -> None:
    """A message stands where the reply to that turn shall be: the reply's first part replaces it."""
    place = session.execute(_PLACE_OF_TURN, {"of_turn": turn_id}).one()
    insert_or_ignore(
        session,
        DELIVERIES,
        {
            "id": new_id(),
            "person_id": place.person_id,
            "conversation_id": place.id,
            "turn_id": turn_id,
            "part": PLACEHOLDER_PART,
            "kind": DeliveryKind.NOTICE,
            "channel": place.channel,
            "chat_id": place.chat_id,
            "state": DeliveryState.SENT,
            "attempt": 1,
            "next_attempt_at": now,
            "platform_message_id": platform_message_id,
            "created_at": now,
            "sent_at": now,
        },
    )
