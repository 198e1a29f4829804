"""The outbox: every text for a person is written here first, in the transaction that decides to say it.

`dialogue.core.claiming` and `dialogue.core.sending` are the other side: how couriers take texts out of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.orm import Session

from dialogue.messages import Address
from dialogue.states import OPEN_DELIVERY_STATES, OWED_DELIVERY_STATES, DeliveryKind, DeliveryState
from dialogue.storage import after_commit
from dialogue.storage.ids import new_id
from dialogue.storage.vault import PersonKey
from dialogue.tables import DELIVERIES

PLACEHOLDER_PART = -1
"""The part number of a placeholder (`dialogue.core.placeholders`), which the reply's first part replaces."""

WAITING_PART = -100
"""The part number of the notice of a place in the queue (`dialogue.core.queue_position`): one per turn."""

_OWE = insert(DELIVERIES)
_STILL_OWED = (
    select(DELIVERIES.c.id)
    .where(
        DELIVERIES.c.person_id == bindparam("of_person"),
        DELIVERIES.c.kind == bindparam("of_kind"),
        DELIVERIES.c.state.in_(OWED_DELIVERY_STATES),
    )
    .limit(1)
)
_LAST_PART = select(func.max(DELIVERIES.c.part)).where(DELIVERIES.c.message_id == bindparam("of_message"))
_OLDEST = select(func.min(DELIVERIES.c.created_at)).where(
    DELIVERIES.c.channel == bindparam("of_channel"), DELIVERIES.c.state.in_(OPEN_DELIVERY_STATES)
)

_CONVERSATION_OF = select(DELIVERIES.c.conversation_id).where(DELIVERIES.c.id == bindparam("delivery_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A text for the person of a conversation; `turn_id` if it is the reply to that turn."""

    key: PersonKey = field(repr=False)
    person_id: UUID
    address: Address
    conversation_id: UUID
    text: str = field(repr=False)
    kind: DeliveryKind
    turn_id: UUID | None = None


def next_part(session: Session, message_id: UUID) -> int:
    """Behind everything that was owed in answer to that message."""
    return (session.scalar(_LAST_PART, {"of_message": message_id}) or 0) + 1


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
    delivery_id: UUID | None = None,
    now: datetime,
) -> UUID:
    """Write a text into the outbox: the reply to a turn, our answer to one message, or a human's words."""
    delivery_id = delivery_id or new_id()
    sealed = key.seal(text, row=delivery_id, column="deliveries.text")
    whose = {"conversation_id": conversation_id, "turn_id": turn_id, "message_id": message_id, "part": part}
    row = _pending(delivery_id, address, now=now) | {"person_id": person_id, "kind": kind, "text": sealed}
    session.execute(_OWE, row | whose)
    after_commit.owe(session, address.channel)
    return delivery_id


def owe_all(session: Session, texts: Sequence[Owed], *, now: datetime) -> None:
    """Write many texts into the outbox at once, in that order."""
    rows = []
    for text in texts:
        delivery_id = new_id()
        sealed = text.key.seal(text.text, row=delivery_id, column="deliveries.text")
        whose = {"conversation_id": text.conversation_id, "turn_id": text.turn_id, "message_id": None, "part": 0}
        row = _pending(delivery_id, text.address, now=now)
        rows.append(row | whose | {"person_id": text.person_id, "kind": text.kind, "text": sealed})
        after_commit.owe(session, text.address.channel)
    session.execute(_OWE, rows)


def owe_unwritten(
    session: Session,
    *,
    person_id: UUID,
    address: Address,
    kind: DeliveryKind,
    message_id: UUID | None = None,
    now: datetime,
) -> UUID:
    """Write into the outbox what gets its text when it is sent (`UNWRITTEN_KINDS`)."""
    delivery_id = new_id()
    whose = {"conversation_id": None, "turn_id": None, "message_id": message_id, "part": 0}
    row = _pending(delivery_id, address, now=now) | {"person_id": person_id, "kind": kind, "text": None}
    session.execute(_OWE, row | whose)
    after_commit.owe(session, address.channel)
    return delivery_id


def is_owed(session: Session, person_id: UUID, kind: DeliveryKind) -> bool:
    """Whether something of that kind is still to be sent to that person."""
    return session.scalar(_STILL_OWED, {"of_person": person_id, "of_kind": kind}) is not None


def oldest_owed(session: Session, channel: str) -> datetime | None:
    """When the oldest text that the channel still owes was written."""
    oldest: datetime | None = session.scalar(_OLDEST, {"of_channel": channel})
    return oldest


def conversation_of(session: Session, delivery_id: UUID) -> UUID | None:
    """The conversation that a text belongs to, if any."""
    conversation_id: UUID | None = session.scalar(_CONVERSATION_OF, {"delivery_id": delivery_id})
    return conversation_id


def _pending(delivery_id: UUID, address: Address, *, now: datetime) -> dict[str, object]:
    return {
        "id": delivery_id,
        **address.columns(),
        "state": DeliveryState.PENDING,
        "attempt": 0,
        "next_attempt_at": now,
        "created_at": now,
    }
