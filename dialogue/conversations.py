"""Opening and ending conversations. Ending one discards at once whatever it had not yet said."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from dialogue.messages import Address
from dialogue.states import OPEN_TURN_STATES, ClosedBy, DeliveryKind, DeliveryState, TurnState
from dialogue.tables import Conversation, Delivery, Person, Turn


def find_open(session: Session, address: Address) -> Conversation | None:
    """The conversation that is held at that address now."""
    return session.scalar(
        select(Conversation).where(
            Conversation.channel == address.channel,
            Conversation.chat_id == address.chat_id,
            Conversation.closed_at.is_(None),
        )
    )


def open_for(session: Session, person: Person, address: Address, *, now: datetime) -> Conversation:
    """The open conversation of that address, or the next one. The person must be locked."""
    return find_open(session, address) or _start(session, person, address, now)


def reset(session: Session, conversation_id: UUID, *, by: ClosedBy, now: datetime) -> list[UUID]:
    """End a conversation: what waits or is being generated for it is discarded, and so is what it still owes.

    Returns the turns whose generation is now to be cancelled. Ending it twice does nothing.
    """
    _close(session, conversation_id, by, now)
    discarded = _discard_turns(session, conversation_id, now)
    session.execute(
        update(Delivery)
        .where(
            Delivery.conversation_id == conversation_id,
            Delivery.kind == DeliveryKind.REPLY,
            Delivery.state == DeliveryState.PENDING,
        )
        .values(state=DeliveryState.DISCARDED)
    )
    return discarded


def _start(session: Session, person: Person, address: Address, now: datetime) -> Conversation:
    last_epoch = session.scalar(
        select(func.max(Conversation.epoch)).where(
            Conversation.channel == address.channel, Conversation.chat_id == address.chat_id
        )
    )
    conversation = Conversation(
        person_id=person.id,
        channel=address.channel,
        chat_id=address.chat_id,
        epoch=(last_epoch or 0) + 1,
        opened_at=now,
    )
    session.add(conversation)
    session.flush()
    return conversation


def _close(session: Session, conversation_id: UUID, by: ClosedBy, now: datetime) -> None:
    session.execute(
        update(Conversation)
        .where(Conversation.id == conversation_id, Conversation.closed_at.is_(None))
        .values(closed_at=now, closed_by=by)
    )


def _discard_turns(session: Session, conversation_id: UUID, now: datetime) -> list[UUID]:
    discarded = session.scalars(
        update(Turn)
        .where(Turn.conversation_id == conversation_id, Turn.state.in_(OPEN_TURN_STATES))
        .values(state=TurnState.DISCARDED, finished_at=now)
        .returning(Turn.id)
    )
    return list(discarded)
