"""Opens and ends conversations. Ending one discards its open turns and pending deliveries."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from dialogue.core.outbox import WAITING_PART
from dialogue.core.people import KnownPerson
from dialogue.messages import Address
from dialogue.states import OPEN_TURN_STATES, UNSENT_DELIVERY_STATES, ClosedBy, DeliveryKind, DeliveryState, TurnState
from dialogue.storage import after_commit
from dialogue.storage.ids import new_id
from dialogue.tables import CONVERSATIONS, DELIVERIES, TURNS

_IN_CHAT = (
    CONVERSATIONS.c.channel == bindparam("channel"),
    CONVERSATIONS.c.chat_id == bindparam("chat_id"),
)
# the address's own, or else one that was opened before the channel named its accounts
OPEN = (
    select(
        CONVERSATIONS.c.id,
        CONVERSATIONS.c.account,
        CONVERSATIONS.c.taken_over_by,
        CONVERSATIONS.c.relay_channel,
        CONVERSATIONS.c.relay_account,
        CONVERSATIONS.c.relay_chat_id,
        CONVERSATIONS.c.course,
    )
    .where(*_IN_CHAT, CONVERSATIONS.c.account.in_((bindparam("account"), "")), CONVERSATIONS.c.closed_at.is_(None))
    .order_by(CONVERSATIONS.c.account.desc())
    .limit(1)
)
"""Of the address columns."""
_NAME_ACCOUNT = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id == bindparam("conversation_id"))
    .values(account=bindparam("new_account"))
)
_OPEN_OF_PERSON = select(CONVERSATIONS.c.id).where(
    CONVERSATIONS.c.person_id == bindparam("of_person"), CONVERSATIONS.c.closed_at.is_(None)
)
_LAST_EPOCH = select(func.max(CONVERSATIONS.c.epoch)).where(*_IN_CHAT)
_START = insert(CONVERSATIONS)
_CLOSE = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id.in_(bindparam("conversation_ids", expanding=True)), CONVERSATIONS.c.closed_at.is_(None))
    .values(closed_at=bindparam("now"), closed_by=bindparam("by"))
)
_DISCARD_TURNS = (
    update(TURNS)
    .where(
        TURNS.c.conversation_id.in_(bindparam("of_conversations", expanding=True)),
        TURNS.c.state.in_(OPEN_TURN_STATES),
    )
    .values(state=TurnState.DISCARDED, finished_at=bindparam("now"))
    .returning(TURNS.c.id)
)
_STOP = (
    update(TURNS)
    .where(
        TURNS.c.id == bindparam("of_turn"),
        TURNS.c.state.in_(OPEN_TURN_STATES),
        TURNS.c.conversation_id.in_(
            select(CONVERSATIONS.c.id).where(
                *_IN_CHAT, CONVERSATIONS.c.account.in_((bindparam("account"), "")), CONVERSATIONS.c.closed_at.is_(None)
            )
        ),
    )
    .values(state=TurnState.DISCARDED, finished_at=bindparam("now"))
    .returning(TURNS.c.id)
)
_TAKE_BACK_REPLIES = (
    update(DELIVERIES)
    .where(
        DELIVERIES.c.conversation_id.in_(bindparam("of_conversations", expanding=True)),
        (DELIVERIES.c.kind == DeliveryKind.REPLY) | (DELIVERIES.c.part == WAITING_PART),
        DELIVERIES.c.state.in_(UNSENT_DELIVERY_STATES),
    )
    .values(state=DeliveryState.DISCARDED)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenConversation:
    """A conversation that an admin has taken over: `holder` is the admin, `relay_to` their chat.

    `account` is the one at which it was opened; `sealed_course` is its danger so far (`dialogue.core.danger_course`).
    """

    id: UUID
    account: str = ""
    sealed_course: bytes | None = field(default=None, repr=False)
    holder: str | None = None
    relay_to: Address | None = None


def find_open(session: Session, address: Address) -> UUID | None:
    """The taken-over conversation at that address, if any."""
    conversation_id: UUID | None = session.scalar(OPEN, address.columns())
    return conversation_id


def open_at(session: Session, address: Address) -> OpenConversation | None:
    """As `open_at`, with who answers in it."""
    row = session.execute(OPEN, address.columns()).first()
    return conversation_of(row, row.course) if row is not None else None


def open_for(session: Session, person: KnownPerson, address: Address, *, now: datetime) -> UUID:
    """The open conversation at that address, or a new one. The person must be locked."""
    return kept_or_started(session, person, address, open_at(session, address), now=now).id


def kept_or_started(
    session: Session, person: KnownPerson, address: Address, found: OpenConversation | None, *, now: datetime
) -> OpenConversation:
    """The conversation that `open_at` found there, or a new one. The person must be locked."""
    if found is None:
        return OpenConversation(id=_start(session, person, address, now), account=address.account)
    if found.account != address.account:
        session.execute(_NAME_ACCOUNT, {"conversation_id": found.id, "new_account": address.account})
    return replace(found, account=address.account)


def relay_address(row: Any) -> Address | None:
    """The chat to which a conversation's row relays what the person says."""
    if row.relay_channel is None:
        return None
    return Address(channel=row.relay_channel, account=row.relay_account or "", chat_id=row.relay_chat_id)


def reset(session: Session, *conversation_ids: UUID, by: ClosedBy, now: datetime) -> list[UUID]:
    """End conversations: what waits or is being generated in them is discarded, and so is what they still owe.

    Returns the turns that were discarded. Ending one twice does nothing.
    """
    session.execute(_CLOSE, {"conversation_ids": conversation_ids, "by": by, "now": now})
    return silence(session, *conversation_ids, now=now)


def reset_all(session: Session, person: KnownPerson, *, by: ClosedBy, now: datetime) -> list[UUID]:
    """End every conversation of a person; returns the turns that were discarded."""
    open_ids = session.scalars(_OPEN_OF_PERSON, {"of_person": person.id}).all()
    return reset(session, *open_ids, by=by, now=now) if open_ids else []


def silence(session: Session, *conversation_ids: UUID, now: datetime) -> list[UUID]:
    """Take back whatever the model has not yet said in conversations, which stay open.

    Returns the turns that were discarded.
    """
    discarded = session.scalars(_DISCARD_TURNS, {"of_conversations": conversation_ids, "now": now}).all()
    session.execute(_TAKE_BACK_REPLIES, {"of_conversations": conversation_ids})
    after_commit.cancel(session, discarded)
    return list(discarded)


def stop(session: Session, address: Address, turn_id: UUID, *, now: datetime) -> bool:
    """The person wants no reply to that turn of theirs; whether it was still open."""
    turn = {"of_turn": turn_id, **address.columns(), "now": now}
    if session.execute(_STOP, turn).first() is None:
        return False
    after_commit.cancel(session, [turn_id])
    return True


def conversation_of(row: Any, sealed_course: bytes | None) -> OpenConversation:
    """From a row of `OPEN`."""
    return OpenConversation(
        id=row.id,
        account=row.account,
        sealed_course=sealed_course,
        holder=row.taken_over_by,
        relay_to=relay_address(row),
    )


def _start(session: Session, person: KnownPerson, address: Address, now: datetime) -> UUID:
    place = address.columns()
    conversation_id = new_id()
    session.execute(
        _START,
        {
            "id": conversation_id,
            "person_id": person.id,
            "epoch": (session.scalar(_LAST_EPOCH, place) or 0) + 1,
            "tier": 0,
            "opened_at": now,
            **place,
        },
    )
    return conversation_id
