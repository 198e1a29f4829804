"""Every conversation ends, in small transactions, each of which does what a reset of one does.

An admin's order is a row until it is carried out: a process that dies in between, or is stopped, leaves it to the next
one, and the admin is told the result once, in the transaction that deletes the row.
"""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.orm import Session

from dialogue.admin import audit, steering
from dialogue.admin.audit import MAX_REASON_LENGTH, Action, Whom
from dialogue.admin.office import Actor, Office
from dialogue.core import conversations, outbox, people
from dialogue.errors import ReasonTooLong
from dialogue.messages import Address
from dialogue.states import ClosedBy, DeliveryKind
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.storage.ids import new_id
from dialogue.tables import CONVERSATIONS, PEOPLE, RESET_ORDERS

BATCH = 200
"""Conversations that one transaction ends: it lasts some tens of milliseconds."""

PAUSE_SHARE = 1.0
"""The pause after a batch, as a share of its time: a writer that waits for SQLite comes in between."""

BEGINNING = UUID(int=0)

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def order(session: Session, *, by: Actor, tell: Address, reason: str | None, now: datetime) -> None:
    """End all that is open now, soon; `tell` is the private chat in which the admin hears the result.

    Raises `ReasonTooLong`.
    """
    if reason is not None and len(reason) > MAX_REASON_LENGTH:
        raise ReasonTooLong
    session.execute(
        insert(RESET_ORDERS).values(
            id=new_id(),
            ordered_at=now,
            actor=by.name,
            reason=reason,
            after_id=BEGINNING,
            ended_count=0,
            **tell.columns(),
        )
    )


def is_ordered(session: Session) -> bool:
    """Whether an order is still to be carried out."""
    return session.scalar(select(RESET_ORDERS.c.id).limit(1)) is not None


def advance(session: Session, office: Office, *, now: datetime) -> int | None:
    """One batch of the oldest order; returns how many conversations ended.

    None: nothing is ordered, the order has just been finished, or another process is at it.
    """
    oldest = select(RESET_ORDERS).order_by(RESET_ORDERS.c.id).limit(1).with_for_update(skip_locked=True)
    ordered = session.execute(oldest).first()
    if ordered is None:
        return None
    batch = _next_batch(session, ordered.after_id, opened_until=ordered.ordered_at)
    if not batch:
        session.execute(delete(RESET_ORDERS).where(RESET_ORDERS.c.id == ordered.id))
        _tell(session, office, ordered, now=now)
        return None
    ended_count = _reset_batch(session, office, batch, by=Actor(name=ordered.actor), reason=ordered.reason, now=now)
    session.execute(
        update(RESET_ORDERS)
        .where(RESET_ORDERS.c.id == ordered.id)
        .values(after_id=batch[-1][0], ended_count=RESET_ORDERS.c.ended_count + ended_count)
    )
    return ended_count


def reset_all(
    database: Database, office: Office, *, by: Actor, reason: str | None = None, clock: Clock = utc_now
) -> Iterator[int]:
    """End every conversation that is open now, while somebody waits for it; yields how many each transaction ended.

    Intake goes on between the batches, and what begins meanwhile stays.
    """
    now, after = clock(), BEGINNING
    while True:
        began_at = time.monotonic()
        with database.begin() as session:
            batch = _next_batch(session, after, opened_until=now)
            if not batch:
                return
            after = batch[-1][0]
            count = _reset_batch(session, office, batch, by=by, reason=reason, now=clock())
        yield count
        time.sleep(PAUSE_SHARE * (time.monotonic() - began_at))


def _next_batch(session: Session, after: UUID, *, opened_until: datetime) -> list[tuple[UUID, UUID]]:
    """Conversations and their people."""
    rows = session.execute(
        select(CONVERSATIONS.c.id, CONVERSATIONS.c.person_id)
        .where(
            CONVERSATIONS.c.closed_at.is_(None), CONVERSATIONS.c.id > after, CONVERSATIONS.c.opened_at <= opened_until
        )
        .order_by(CONVERSATIONS.c.id)
        .limit(BATCH)
    )
    return [(row.id, row.person_id) for row in rows]


def _reset_batch(
    session: Session,
    office: Office,
    batch: list[tuple[UUID, UUID]],
    *,
    by: Actor,
    reason: str | None,
    now: datetime,
) -> int:
    # in one order, so that two resets of all wait for each other and never for ever
    whose = sorted({person_id for _, person_id in batch})
    session.execute(
        select(PEOPLE.c.id).where(PEOPLE.c.id.in_(whose)).order_by(PEOPLE.c.id).with_for_update(key_share=True)
    )
    still_open = session.execute(
        select(CONVERSATIONS.c.id, CONVERSATIONS.c.person_id, CONVERSATIONS.c.taken_over_by).where(
            CONVERSATIONS.c.id.in_([conversation_id for conversation_id, _ in batch]),
            CONVERSATIONS.c.closed_at.is_(None),
        )
    ).all()
    unheld = [row for row in still_open if row.taken_over_by is None]
    conversations.reset(session, *(row.id for row in unheld), by=ClosedBy.ADMIN, now=now)
    whoms = [Whom(person_id=row.person_id, conversation_id=row.id) for row in unheld]
    audit.note_all(session, actor=by.name, action=Action.RESET, whoms=whoms, reason=reason, now=now)
    for row in still_open:
        if row.taken_over_by is not None:  # both sides are told, one by one
            steering.reset(session, office, row.id, by=by, reason=reason, now=now)
    return len(still_open)


def _tell(session: Session, office: Office, ordered: Row[Any], *, now: datetime) -> None:
    """A private chat has the id of its person."""
    admin = Address.of(ordered)
    person = people.locked(session, office.keys, channel=admin.channel, user_id=admin.chat_id, now=now)
    log.info("all_conversations_reset", ended_count=ordered.ended_count)
    outbox.owe(
        session,
        person.key,
        person_id=person.id,
        address=admin,
        text=office.texts.say("desk_reset_all_done", count=ordered.ended_count),
        kind=DeliveryKind.NOTICE,
        conversation_id=None,
        now=now,
    )
