"""Open turns and pending deliveries by address."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dialogue.messages import Address
from dialogue.states import OPEN_TURN_STATES, OWED_DELIVERY_STATES, DeliveryKind, DeliveryState, TurnState
from dialogue.tables import Conversation, Delivery, Message, Person, Turn


def is_awaited(session: Session, turn_or_delivery_id: UUID) -> bool:
    """Whether that turn is still open, or that delivery still pending."""
    return bool(
        session.scalar(select(func.count()).where(Turn.id == turn_or_delivery_id, Turn.state.in_(OPEN_TURN_STATES)))
        or session.scalar(
            select(func.count()).where(
                (Delivery.turn_id == turn_or_delivery_id) | (Delivery.id == turn_or_delivery_id),
                Delivery.state.in_(OWED_DELIVERY_STATES),
            )
        )
    )


def unanswered(session: Session, address: Address) -> list[UUID]:
    """The pending deliveries and open turns of an address, in the order in which they will be sent."""
    owed = session.scalars(
        select(Delivery.id)
        .where(
            Delivery.channel == address.channel,
            Delivery.account.in_((address.account, "")),
            Delivery.chat_id == address.chat_id,
            Delivery.state.in_(OWED_DELIVERY_STATES),
        )
        .order_by(Delivery.id)
    )
    return [*owed, *open_turns(session, address)]


def open_turns(session: Session, address: Address) -> list[UUID]:
    """The turns of an address that nobody has answered, in their order."""
    return list(
        session.scalars(
            select(Turn.id)
            .join(Conversation, Conversation.id == Turn.conversation_id)
            .where(
                Conversation.channel == address.channel,
                Conversation.account.in_((address.account, "")),
                Conversation.chat_id == address.chat_id,
                Turn.state.in_(OPEN_TURN_STATES),
            )
            .order_by(Turn.seq)
        )
    )


def waiting_turns(session: Session, channel: str) -> list[tuple[UUID, Address]]:
    """The open turns of a channel, with their addresses."""
    rows = session.execute(
        select(Turn.id, Conversation.channel, Conversation.account, Conversation.chat_id)
        .join(Conversation, Conversation.id == Turn.conversation_id)
        .where(Conversation.channel == channel, Turn.state.in_(OPEN_TURN_STATES))
        .order_by(Turn.id)
    )
    return [(row.id, Address.of(row)) for row in rows]


def last_external_id(session: Session, turn_id: UUID) -> str | None:
    """The platform's id of the last message that joined a turn."""
    return session.scalar(
        select(Message.external_id).where(Message.turn_id == turn_id).order_by(Message.id.desc()).limit(1)
    )


def language_of(session: Session, delivery_id: UUID) -> str | None:
    """The language of the person who is owed that text."""
    return session.scalar(
        select(Person.language).join(Delivery, Delivery.person_id == Person.id).where(Delivery.id == delivery_id)
    )


def languages_of(session: Session, turn_ids: Sequence[UUID]) -> dict[UUID, str | None]:
    """The language of whoever waits for each of these turns."""
    if not turn_ids:
        return {}
    rows = session.execute(
        select(Turn.id, Person.language)
        .join(Conversation, Conversation.id == Turn.conversation_id)
        .join(Person, Person.id == Conversation.person_id)
        .where(Turn.id.in_(turn_ids))
    )
    return {row.id: row.language for row in rows}


def last_sent(session: Session, address: Address, kind: DeliveryKind) -> str | None:
    """The platform's id of the last message of that kind that was sent there."""
    return session.scalar(
        select(Delivery.platform_message_id)
        .where(
            Delivery.channel == address.channel,
            Delivery.account.in_((address.account, "")),
            Delivery.chat_id == address.chat_id,
            Delivery.kind == kind,
            Delivery.state == DeliveryState.SENT,
        )
        .order_by(Delivery.id.desc())
        .limit(1)
    )


def answered_count(session: Session, conversation_id: UUID) -> int:
    """How many turns of a conversation were answered."""
    count = session.scalar(
        select(func.count()).where(Turn.conversation_id == conversation_id, Turn.state == TurnState.ANSWERED)
    )
    return count or 0
