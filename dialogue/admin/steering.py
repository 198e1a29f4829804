"""What admins change: a conversation ends, a person is kept out, a text is sent once more.

Whoever ends a conversation has its person locked, as intake has: no message can join what has just ended.
"""

import time
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Action, Whom
from dialogue.admin.office import Actor, Office
from dialogue.admin.takeover import let_go, locked
from dialogue.core import conversations, outbox
from dialogue.errors import NoSuchDelivery, NoSuchPerson, NotFailed, PersonIsAdmin
from dialogue.states import OPEN_TURN_STATES, ClosedBy, DeliveryKind, DeliveryState, TurnState
from dialogue.storage import after_commit
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.tables import CONVERSATIONS, DELIVERIES, PEOPLE, TURNS

BATCH = 200
"""Conversations that one transaction of a reset of all ends: it lasts some tens of milliseconds."""

_PAUSE_SHARE = 1.0
"""The pause after a batch, as a share of its time: a writer that waits for SQLite comes in between."""


def reset(
    session: Session, office: Office, conversation_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> None:
    """End a conversation silently; the person's next message begins another.

    Raises `NoSuchConversation`, `ConversationClosed`.
    """
    _end(session, office, conversation_id, Action.RESET, by=by, reason=reason, now=now)


def close(
    session: Session, office: Office, conversation_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> None:
    """End a conversation and tell the person so. Raises `NoSuchConversation`, `ConversationClosed`."""
    held = locked(session, office, conversation_id)
    _end(session, office, conversation_id, Action.CLOSE, by=by, reason=reason, now=now)
    outbox.owe(
        session,
        held.key,
        person_id=held.person_id,
        address=held.address,
        text=office.texts.say("admin_closed"),
        kind=DeliveryKind.NOTICE,
        conversation_id=held.id,
        now=now,
    )


def reset_person(
    session: Session, office: Office, person_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> None:
    """End whatever conversations a person holds now; raises `NoSuchPerson`."""
    _lock_person(session, person_id)
    for conversation_id in _open_conversations(session, person_id):
        reset(session, office, conversation_id, by=by, reason=reason, now=now)


def reset_all(
    database: Database, office: Office, *, by: Actor, reason: str | None = None, clock: Clock = utc_now
) -> Iterator[int]:
    """End every conversation that is open now, in transactions of `BATCH`; yields how many each ended.

    Intake goes on between the batches, and what begins meanwhile stays.
    """
    now, after = clock(), UUID(int=0)
    while True:
        began_at = time.monotonic()
        with database.begin() as session:
            batch = _next_batch(session, after, opened_until=now)
            if not batch:
                return
            after = batch[-1][0]
            count = _reset_batch(session, office, batch, by=by, reason=reason, now=clock())
        yield count
        time.sleep(_PAUSE_SHARE * (time.monotonic() - began_at))


def block(
    session: Session, office: Office, person_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> None:
    """Keep a person out: their conversations end, their messages are no longer answered, except in danger.

    Blocking twice does nothing. Raises `NoSuchPerson`, `PersonIsAdmin`.
    """
    _lock_person(session, person_id)
    account = session.execute(select(PEOPLE.c.channel, PEOPLE.c.user_id).where(PEOPLE.c.id == person_id)).one()
    if office.is_admin(account.channel, account.user_id):
        raise PersonIsAdmin
    blocked = session.execute(
        update(PEOPLE)
        .where(PEOPLE.c.id == person_id, PEOPLE.c.blocked_at.is_(None))
        .values(blocked_at=now)
        .returning(PEOPLE.c.id)
    ).first()
    if blocked is None:
        return
    audit.note(session, actor=by.name, action=Action.BLOCK, whom=Whom(person_id=person_id), reason=reason, now=now)
    reset_person(session, office, person_id, by=by, reason=reason, now=now)


def unblock(session: Session, person_id: UUID, *, by: Actor, reason: str | None = None, now: datetime) -> None:
    """Let a person in again; who is not blocked stays as they are. Raises `NoSuchPerson`."""
    _lock_person(session, person_id)
    freed = session.execute(
        update(PEOPLE)
        .where(PEOPLE.c.id == person_id, PEOPLE.c.blocked_at.is_not(None))
        .values(blocked_at=None)
        .returning(PEOPLE.c.id)
    ).first()
    if freed is not None:
        audit.note(
            session, actor=by.name, action=Action.UNBLOCK, whom=Whom(person_id=person_id), reason=reason, now=now
        )


def resend(session: Session, delivery_id: UUID, *, by: Actor, reason: str | None = None, now: datetime) -> None:
    """Owe a text once more that could not be delivered. Raises `NoSuchDelivery`, `NotFailed`."""
    found = session.execute(
        select(DELIVERIES.c.channel, DELIVERIES.c.person_id, DELIVERIES.c.conversation_id).where(
            DELIVERIES.c.id == delivery_id
        )
    ).first()
    if found is None:
        raise NoSuchDelivery
    owed = session.execute(
        update(DELIVERIES)
        .where(
            DELIVERIES.c.id == delivery_id,
            DELIVERIES.c.state == DeliveryState.FAILED,
            DELIVERIES.c.text.is_not(None),
        )
        .values(state=DeliveryState.PENDING, attempt=0, error=None, owner=None, lease_until=None, next_attempt_at=now)
        .returning(DELIVERIES.c.id)
    ).first()
    if owed is None:
        raise NotFailed
    whom = Whom(person_id=found.person_id, conversation_id=found.conversation_id)
    audit.note(session, actor=by.name, action=Action.RESEND, whom=whom, reason=reason, now=now)
    after_commit.owe(session, found.channel)


def _end(
    session: Session,
    office: Office,
    conversation_id: UUID,
    action: Action,
    *,
    by: Actor,
    reason: str | None,
    now: datetime,
) -> None:
    held = locked(session, office, conversation_id)
    let_go(session, office, held, by=by, now=now)
    conversations.reset(session, held.id, by=ClosedBy.ADMIN, now=now)
    audit.note(session, actor=by.name, action=action, whom=held.whom, reason=reason, now=now)


def _lock_person(session: Session, person_id: UUID) -> None:
    found = session.execute(select(PEOPLE.c.id).where(PEOPLE.c.id == person_id).with_for_update(key_share=True)).first()
    if found is None:
        raise NoSuchPerson


def _open_conversations(session: Session, person_id: UUID) -> list[UUID]:
    held = select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.person_id == person_id, CONVERSATIONS.c.closed_at.is_(None))
    return list(session.scalars(held.order_by(CONVERSATIONS.c.id)))


def _next_batch(session: Session, after: UUID, *, opened_until: datetime) -> list[tuple[UUID, UUID, str | None]]:
    """Conversation, person and holder."""
    rows = session.execute(
        select(CONVERSATIONS.c.id, CONVERSATIONS.c.person_id, CONVERSATIONS.c.taken_over_by)
        .where(
            CONVERSATIONS.c.closed_at.is_(None), CONVERSATIONS.c.id > after, CONVERSATIONS.c.opened_at <= opened_until
        )
        .order_by(CONVERSATIONS.c.id)
        .limit(BATCH)
    )
    return [(row.id, row.person_id, row.taken_over_by) for row in rows]


def _reset_batch(
    session: Session,
    office: Office,
    batch: list[tuple[UUID, UUID, str | None]],
    *,
    by: Actor,
    reason: str | None,
    now: datetime,
) -> int:
    # in one order, so that two resets of all wait for each other and never for ever
    people = sorted({person_id for _, person_id, _ in batch})
    session.execute(
        select(PEOPLE.c.id).where(PEOPLE.c.id.in_(people)).order_by(PEOPLE.c.id).with_for_update(key_share=True)
    )
    closed = session.execute(
        update(CONVERSATIONS)
        .where(
            CONVERSATIONS.c.id.in_([conversation_id for conversation_id, _, _ in batch]),
            CONVERSATIONS.c.closed_at.is_(None),
            CONVERSATIONS.c.taken_over_by.is_(None),
        )
        .values(closed_at=now, closed_by=ClosedBy.ADMIN)
        .returning(CONVERSATIONS.c.id, CONVERSATIONS.c.person_id)
    ).all()
    ids = [row.id for row in closed]
    _discard(session, ids, now=now)
    whoms = [Whom(person_id=row.person_id, conversation_id=row.id) for row in closed]
    audit.note_all(session, actor=by.name, action=Action.RESET, whoms=whoms, reason=reason, now=now)
    count = len(ids)
    for conversation_id in _still_open(session, [conversation_id for conversation_id, _, _ in batch]):
        reset(session, office, conversation_id, by=by, reason=reason, now=now)
        count += 1
    return count


def _still_open(session: Session, ids: list[UUID]) -> list[UUID]:
    """Those that a human holds: both sides are told, one by one."""
    return list(
        session.scalars(
            select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.id.in_(ids), CONVERSATIONS.c.closed_at.is_(None))
        )
    )


def _discard(session: Session, ids: list[UUID], *, now: datetime) -> None:
    """The same that `conversations.silence` does, for many at once."""
    discarded = session.scalars(
        update(TURNS)
        .where(TURNS.c.conversation_id.in_(ids), TURNS.c.state.in_(OPEN_TURN_STATES))
        .values(state=TurnState.DISCARDED, finished_at=now)
        .returning(TURNS.c.id)
    ).all()
    session.execute(
        update(DELIVERIES)
        .where(
            DELIVERIES.c.conversation_id.in_(ids),
            DELIVERIES.c.kind == DeliveryKind.REPLY,
            DELIVERIES.c.state == DeliveryState.PENDING,
        )
        .values(state=DeliveryState.DISCARDED)
    )
    after_commit.cancel(session, discarded)
