"""Placeholders: messages that a reply will replace, each a sent row of the reply's turn with its own part number."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.orm import Session

from dialogue.core.outbox import PLACEHOLDER_PART
from dialogue.messages import Address
from dialogue.states import OPEN_TURN_STATES, DeliveryKind, DeliveryState
from dialogue.storage.database import insert_or_ignore
from dialogue.storage.ids import first_id_at, new_id
from dialogue.tables import CONVERSATIONS, DELIVERIES, TURNS

_PLACE_OF_TURN = (
    select(
        CONVERSATIONS.c.id,
        CONVERSATIONS.c.person_id,
        CONVERSATIONS.c.channel,
        CONVERSATIONS.c.account,
        CONVERSATIONS.c.chat_id,
    )
    .join(TURNS, TURNS.c.conversation_id == CONVERSATIONS.c.id)
    .where(TURNS.c.id == bindparam("of_turn"))
)
_PLACEHOLDER = select(DELIVERIES.c.platform_message_id).where(
    DELIVERIES.c.turn_id == bindparam("of_turn"), DELIVERIES.c.part == PLACEHOLDER_PART
)
_BESIDE = DELIVERIES.alias()
# its reply was discarded, or never came; what was sent, or will be, stands in its place
_STALE = (
    select(
        DELIVERIES.c.id,
        DELIVERIES.c.channel,
        DELIVERIES.c.account,
        DELIVERIES.c.chat_id,
        DELIVERIES.c.platform_message_id,
    )
    .join(TURNS, TURNS.c.id == DELIVERIES.c.turn_id)
    .where(
        DELIVERIES.c.part == PLACEHOLDER_PART,
        DELIVERIES.c.state == DeliveryState.SENT,
        TURNS.c.state.not_in(OPEN_TURN_STATES),
        ~exists().where(
            _BESIDE.c.turn_id == DELIVERIES.c.turn_id,
            _BESIDE.c.part >= 0,
            _BESIDE.c.state != DeliveryState.DISCARDED,
        ),
    )
)
_STALE_OF_CHANNEL = _STALE.where(
    DELIVERIES.c.channel == bindparam("of_channel"), DELIVERIES.c.id >= bindparam("first_id")
)
_STALE_OF_TURN = _STALE.where(DELIVERIES.c.turn_id == bindparam("of_turn"))
_TAKEN_DOWN = (
    update(DELIVERIES).where(DELIVERIES.c.id == bindparam("delivery_id")).values(state=DeliveryState.DISCARDED)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StalePlaceholder:
    """A placeholder that no reply will replace; it would stay in the chat."""

    id: UUID
    address: Address
    platform_message_id: str


def of_turn(session: Session, turn_id: UUID) -> str | None:
    """The platform's id of the turn's placeholder."""
    return session.scalar(_PLACEHOLDER, {"of_turn": turn_id})


def note(session: Session, turn_id: UUID, *, platform_message_id: str, now: datetime) -> None:
    """Record a placeholder, which the reply's first part replaces."""
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
            **Address.of(place).columns(),
            "state": DeliveryState.SENT,
            "attempt": 1,
            "next_attempt_at": now,
            "platform_message_id": platform_message_id,
            "created_at": now,
            "sent_at": now,
        },
    )


def stale(session: Session, channel: str, *, since: datetime) -> list[StalePlaceholder]:
    """A channel's stale placeholders made since then."""
    rows = session.execute(_STALE_OF_CHANNEL, {"of_channel": channel, "first_id": first_id_at(since)})
    return [_stale_from(row) for row in rows]


def stale_of(session: Session, turn_id: UUID) -> StalePlaceholder | None:
    """The turn's placeholder, if no reply will replace it."""
    row = session.execute(_STALE_OF_TURN, {"of_turn": turn_id}).first()
    return _stale_from(row) if row is not None else None


def taken_down(session: Session, placeholder_id: UUID) -> None:
    """It was deleted from the chat."""
    session.execute(_TAKEN_DOWN, {"delivery_id": placeholder_id})


def _stale_from(row: Any) -> StalePlaceholder:
    return StalePlaceholder(id=row.id, address=Address.of(row), platform_message_id=row.platform_message_id)
