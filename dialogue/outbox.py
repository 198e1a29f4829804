"""Texts owed to people. A row is claimed, sent and marked in three steps, in order for each address.

A crash between sending and marking cannot be told from one before: ordinary words are then not repeated (failed,
`unknown`), words that must arrive are.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, case, exists, insert, literal, select, update
from sqlalchemy.orm import Session

from dialogue import people
from dialogue.ids import new_id
from dialogue.messages import Address, OwedText
from dialogue.states import OPEN_DELIVERY_STATES, DeliveryKind, DeliveryState
from dialogue.tables import DELIVERIES
from dialogue.vault import MasterKeys, PersonKey

UNKNOWN = "unknown"
"""The `error` of a delivery that was being sent when its courier died."""

_OWE = insert(DELIVERIES)
_EARLIER = DELIVERIES.alias()
_DUE = (
    select(DELIVERIES.c.id)
    .where(
        DELIVERIES.c.channel == bindparam("of_channel"),
        DELIVERIES.c.state == DeliveryState.PENDING,
        DELIVERIES.c.next_attempt_at <= bindparam("now"),
        ~exists().where(
            _EARLIER.c.channel == DELIVERIES.c.channel,
            _EARLIER.c.chat_id == DELIVERIES.c.chat_id,
            _EARLIER.c.state.in_(OPEN_DELIVERY_STATES),
            _EARLIER.c.id < DELIVERIES.c.id,
        ),
    )
    .order_by(DELIVERIES.c.id)
    .limit(bindparam("max_count"))
)
# the state is asked outside of the subquery too: a claim that waited for another one sees what that one wrote
_CLAIM = (
    update(DELIVERIES)
    .where(DELIVERIES.c.state == DeliveryState.PENDING)
    .values(
        state=DeliveryState.SENDING,
        owner=bindparam("new_owner"),
        lease_until=bindparam("until"),
        attempt=DELIVERIES.c.attempt + 1,
    )
    .returning(
        DELIVERIES.c.id,
        DELIVERIES.c.person_id,
        DELIVERIES.c.channel,
        DELIVERIES.c.chat_id,
        DELIVERIES.c.kind,
        DELIVERIES.c.text,
        DELIVERIES.c.turn_id,
        DELIVERIES.c.part,
        DELIVERIES.c.attempt,
    )
)
_CLAIM_ON_CHANNEL = _CLAIM.where(DELIVERIES.c.id.in_(_DUE))
_CLAIM_IN_CHAT = _CLAIM.where(DELIVERIES.c.id.in_(_DUE.where(DELIVERIES.c.chat_id == bindparam("of_chat"))))
_HELD = update(DELIVERIES).where(
    DELIVERIES.c.id == bindparam("delivery_id"),
    DELIVERIES.c.owner == bindparam("by_owner"),
    DELIVERIES.c.state == DeliveryState.SENDING,
)
_MARK_SENT = _HELD.values(
    state=DeliveryState.SENT, platform_message_id=bindparam("new_platform_message_id"), sent_at=bindparam("now")
)
_MARK_FAILED = _HELD.values(state=DeliveryState.FAILED, error=bindparam("new_error"))
_PUT_OFF = _HELD.values(state=DeliveryState.PENDING, next_attempt_at=bindparam("until"))
_MUST_ARRIVE = DELIVERIES.c.kind == DeliveryKind.CRISIS
_SETTLE = (
    update(DELIVERIES)
    .where(DELIVERIES.c.state == DeliveryState.SENDING, DELIVERIES.c.lease_until <= bindparam("now"))
    .values(
        state=case((_MUST_ARRIVE, literal(DeliveryState.PENDING, DELIVERIES.c.state.type)), else_=DeliveryState.FAILED),
        error=case((_MUST_ARRIVE, None), else_=UNKNOWN),
    )
    .returning(DELIVERIES.c.id)
)


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
    session.execute(
        _OWE,
        {
            "id": delivery_id,
            "person_id": person_id,
            "conversation_id": conversation_id,
            "turn_id": turn_id,
            "message_id": message_id,
            "part": part,
            "kind": kind,
            "channel": address.channel,
            "chat_id": address.chat_id,
            "text": key.seal(text, row=delivery_id, column="deliveries.text"),
            "state": DeliveryState.PENDING,
            "attempt": 0,
            "next_attempt_at": now,
            "created_at": now,
        },
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
    values = {
        "of_channel": channel,
        "max_count": limit,
        "new_owner": owner,
        "until": now + timedelta(seconds=lease_seconds),
        "now": now,
    }
    if chat_id is None:
        claimed = session.execute(_CLAIM_ON_CHANNEL, values).all()
    else:
        claimed = session.execute(_CLAIM_IN_CHAT, {**values, "of_chat": chat_id}).all()
    if not claimed:
        return []
    person_keys = people.keys_of(session, keys, {delivery.person_id for delivery in claimed})
    return [
        _opened(delivery, person_keys[delivery.person_id])
        for delivery in sorted(claimed, key=lambda delivery: delivery.id)
    ]


def mark_sent(
    session: Session, delivery_id: UUID, *, owner: UUID, platform_message_id: str | None, now: datetime
) -> None:
    """The platform took it."""
    values = {"new_platform_message_id": platform_message_id, "now": now}
    session.execute(_MARK_SENT, {"delivery_id": delivery_id, "by_owner": owner, **values})


def mark_failed(session: Session, delivery_id: UUID, *, owner: UUID, error: str) -> None:
    """The platform refused it for good; `error` is a short name, never a text."""
    session.execute(_MARK_FAILED, {"delivery_id": delivery_id, "by_owner": owner, "new_error": error})


def put_off(session: Session, delivery_id: UUID, *, owner: UUID, until: datetime) -> None:
    """Not now: what is owed stays owed, and what is owed later to the same address waits behind it."""
    session.execute(_PUT_OFF, {"delivery_id": delivery_id, "by_owner": owner, "until": until})


def settle_abandoned(session: Session, *, now: datetime) -> int:
    """Decide about texts whose courier died while it sent them; returns how many there were."""
    return len(session.execute(_SETTLE, {"now": now}).all())


def back_off_seconds(attempt: int, *, first_seconds: float = 1, max_seconds: float = 300) -> float:
    """How long to wait after that many failed tries: doubled each time."""
    return float(min(first_seconds * 2 ** (attempt - 1), max_seconds))


def _opened(delivery: Row[Any], key: PersonKey) -> OwedText:
    return OwedText(
        id=delivery.id,
        address=Address(channel=delivery.channel, chat_id=delivery.chat_id),
        kind=delivery.kind,
        text=key.open(delivery.text, row=delivery.id, column="deliveries.text"),
        turn_id=delivery.turn_id,
        part=delivery.part,
        attempt=delivery.attempt,
    )
