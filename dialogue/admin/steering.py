"""What admins can change: end conversations, block and unblock people, resend failed texts.

Ending a conversation locks its person, as intake does: no message can join a conversation that has just ended.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Action, Whom
from dialogue.admin.office import Actor, Office
from dialogue.admin.takeover import end_takeover, locked
from dialogue.core import conversations, outbox
from dialogue.errors import NoSuchDelivery, NoSuchPerson, NotFailed, PersonIsAdmin
from dialogue.states import ClosedBy, DeliveryKind, DeliveryState
from dialogue.storage import after_commit
from dialogue.tables import CONVERSATIONS, DELIVERIES, PEOPLE


def reset(
    session: Session, office: Office, conversation_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> None:
    """End a conversation without telling the person; their next message starts a new one.

    Raises `NoSuchConversation`, `ConversationClosed`.
    """
    _end(session, office, conversation_id, Action.RESET, by=by, reason=reason, now=now)


def close(
    session: Session, office: Office, conversation_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> None:
    """End a conversation and tell the person. Raises `NoSuchConversation`, `ConversationClosed`."""
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
    """End all open conversations of a person; raises `NoSuchPerson`."""
    _lock_person(session, person_id)
    for conversation_id in _open_conversations(session, person_id):
        reset(session, office, conversation_id, by=by, reason=reason, now=now)


def block(
    session: Session, office: Office, person_id: UUID, *, by: Actor, reason: str | None = None, now: datetime
) -> None:
    """Block a person: their conversations end, and only messages that tell of danger are answered.

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
    """Unblock a person; does nothing if they are not blocked. Raises `NoSuchPerson`."""
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
    """Queue a failed delivery again. Raises `NoSuchDelivery`, `NotFailed`."""
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
    end_takeover(session, office, held, by=by, now=now)
    conversations.reset(session, held.id, by=ClosedBy.ADMIN, now=now)
    audit.note(session, actor=by.name, action=action, whom=held.whom, reason=reason, now=now)


def _lock_person(session: Session, person_id: UUID) -> None:
    found = session.execute(select(PEOPLE.c.id).where(PEOPLE.c.id == person_id).with_for_update(key_share=True)).first()
    if found is None:
        raise NoSuchPerson


def _open_conversations(session: Session, person_id: UUID) -> list[UUID]:
    held = select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.person_id == person_id, CONVERSATIONS.c.closed_at.is_(None))
    return list(session.scalars(held.order_by(CONVERSATIONS.c.id)))
