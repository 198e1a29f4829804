"""Texts owed to people. A row is claimed, sent and marked in three steps, in order for each address.

A crash between sending and marking cannot be told from one before: ordinary words are then not repeated (failed,
`unknown`), words that must arrive are.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, case, exists, select, update
from sqlalchemy.orm import Session, aliased

from dialogue import people
from dialogue.ids import new_id
from dialogue.messages import Address, OwedText
from dialogue.states import OPEN_DELIVERY_STATES, DeliveryKind, DeliveryState
from dialogue.tables import Delivery
from dialogue.vault import MasterKeys, PersonKey

UNKNOWN = "unknown"
"""The `error` of a delivery that was being sent when its courier died."""


def owe(
    session: Session,
    key: PersonKey,
    *,
    person_id: UUID,
    address: Address,
    text: str,
    kind: DeliveryKind,
    conversation_id: UUID | None,
    turn_id: UUID | None = None,
    message_id: UUID | None = None,
    part: int = 0,
    now: datetime,
) -> UUID:
    """Write a text into the outbox: the reply to a turn, or our answer to one message."""
    delivery_id = new_id()
    session.add(
        Delivery(
            id=delivery_id,
            person_id=person_id,
            conversation_id=conversation_id,
            turn_id=turn_id,
            message_id=message_id,
            part=part,
            kind=kind,
            channel=address.channel,
            chat_id=address.chat_id,
            text=key.seal(text, row=delivery_id, column="deliveries.text"),
            state=DeliveryState.PENDING,
            next_attempt_at=now,
            created_at=now,
        )
    )
    return delivery_id


def claim_due(
    session: Session,
    keys: MasterKeys,
    channel: str,
    *,
    owner: UUID,
    lease_seconds: float,
    limit: int,
    now: datetime,
    chat_id: str | None = None,
) -> list[OwedText]:
    """Take what is due on a channel (or in one chat of it), oldest first, at most one text for each address."""
    earlier = aliased(Delivery)
    is_first = ~exists().where(
        earlier.channel == Delivery.channel,
        earlier.chat_id == Delivery.chat_id,
        earlier.state.in_(OPEN_DELIVERY_STATES),
        earlier.id < Delivery.id,
    )
    due = select(Delivery.id).where(
        Delivery.channel == channel,
        Delivery.state == DeliveryState.PENDING,
        Delivery.next_attempt_at <= now,
        is_first,
    )
    if chat_id is not None:
        due = due.where(Delivery.chat_id == chat_id)
    claimed = session.scalars(
        update(Delivery)
        .where(Delivery.id.in_(due.order_by(Delivery.id).limit(limit)), Delivery.state == DeliveryState.PENDING)
        .values(
            state=DeliveryState.SENDING,
            owner=owner,
            lease_until=now + timedelta(seconds=lease_seconds),
            attempt=Delivery.attempt + 1,
        )
        .returning(Delivery)
        .execution_options(synchronize_session=False)
    ).all()
    return [_opened(session, keys, delivery) for delivery in sorted(claimed, key=lambda delivery: delivery.id)]


def mark_sent(
    session: Session, delivery_id: UUID, *, owner: UUID, platform_message_id: str | None, now: datetime
) -> None:
    """The platform took it."""
    session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id, *_held_by(owner))
        .values(state=DeliveryState.SENT, platform_message_id=platform_message_id, sent_at=now)
    )


def mark_failed(session: Session, delivery_id: UUID, *, owner: UUID, error: str) -> None:
    """The platform refused it for good; `error` is a short name, never a text."""
    session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id, *_held_by(owner))
        .values(state=DeliveryState.FAILED, error=error)
    )


def put_off(session: Session, delivery_id: UUID, *, owner: UUID, until: datetime) -> None:
    """Not now: what is owed stays owed, and what is owed later to the same address waits behind it."""
    session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id, *_held_by(owner))
        .values(state=DeliveryState.PENDING, next_attempt_at=until)
    )


def settle_abandoned(session: Session, *, now: datetime) -> int:
    """Decide about texts whose courier died while it sent them; returns how many there were."""
    must_arrive = Delivery.kind == DeliveryKind.CRISIS
    abandoned = session.scalars(
        update(Delivery)
        .where(Delivery.state == DeliveryState.SENDING, Delivery.lease_until <= now)
        .values(
            state=case((must_arrive, DeliveryState.PENDING), else_=DeliveryState.FAILED),
            error=case((must_arrive, None), else_=UNKNOWN),
        )
        .returning(Delivery.id)
    )
    return len(abandoned.all())


def back_off_seconds(attempt: int, *, first_seconds: float = 1, max_seconds: float = 300) -> float:
    """How long to wait after that many failed tries: doubled each time."""
    return float(min(first_seconds * 2 ** (attempt - 1), max_seconds))


def _held_by(owner: UUID) -> tuple[ColumnElement[bool], ...]:
    return Delivery.owner == owner, Delivery.state == DeliveryState.SENDING


def _opened(session: Session, keys: MasterKeys, delivery: Delivery) -> OwedText:
    key = people.key_of(session, keys, delivery.person_id)
    sealed = delivery.text or b""
    return OwedText(
        id=delivery.id,
        address=Address(channel=delivery.channel, chat_id=delivery.chat_id),
        kind=delivery.kind,
        text=key.open(sealed, row=delivery.id, column="deliveries.text"),
        turn_id=delivery.turn_id,
        part=delivery.part,
        attempt=delivery.attempt,
    )
