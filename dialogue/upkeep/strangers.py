"""Forgets people who were asked for consent and never answered: after the retention period all their rows are deleted.

A person who agreed or declined, told their age, talked, complained, was in danger, or was looked up by an admin is no
stranger. A stranger's messages are deleted earlier, with their conversation (`dialogue.upkeep.retention`).
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, bindparam, delete, exists, or_, select
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Whom
from dialogue.states import OWED_DELIVERY_STATES
from dialogue.tables import (
    AUDIT,
    COMPLAINTS,
    CONVERSATIONS,
    DELIVERIES,
    EMERGENCY_CONTACTS,
    MESSAGES,
    PEOPLE,
    TURNS,
    UNPARSED_UPDATES,
)

FORGOTTEN = "forgotten"
"""The `action` of an audit entry: how many strangers were deleted."""

_UNTIL = bindparam("until", type_=PEOPLE.c.created_at.type)
_KNOWN_FOR = (
    PEOPLE.c.consent_version,
    PEOPLE.c.consented_at,
    PEOPLE.c.declined_at,
    PEOPLE.c.training_consented_at,
    PEOPLE.c.age_band,
    PEOPLE.c.visit_began_at,
    PEOPLE.c.heard_at,
    PEOPLE.c.blocked_at,
    PEOPLE.c.alerts_muted_at,
    PEOPLE.c.erased_at,
)
_IS_THEIRS = CONVERSATIONS.c.person_id == PEOPLE.c.id
_LASTING_CONVERSATION = exists().where(
    _IS_THEIRS, or_(CONVERSATIONS.c.purged_at.is_(None), CONVERSATIONS.c.closed_at > _UNTIL)
)
_TURN = exists().where(_IS_THEIRS, TURNS.c.conversation_id == CONVERSATIONS.c.id)
_LASTING_MESSAGE = exists().where(
    MESSAGES.c.person_id == PEOPLE.c.id,
    or_(MESSAGES.c.text.is_not(None), MESSAGES.c.turn_id.is_not(None), MESSAGES.c.received_at > _UNTIL),
)
# a text that answers no message was sent to an admin, or by one
_LASTING_DELIVERY = exists().where(
    DELIVERIES.c.person_id == PEOPLE.c.id,
    or_(
        DELIVERIES.c.text.is_not(None),
        DELIVERIES.c.state.in_(OWED_DELIVERY_STATES),
        DELIVERIES.c.message_id.is_(None),
        DELIVERIES.c.created_at > _UNTIL,
    ),
)
_TOLD_TO_OTHERS = exists().where(
    _IS_THEIRS, DELIVERIES.c.conversation_id == CONVERSATIONS.c.id, DELIVERIES.c.person_id != PEOPLE.c.id
)
_IN_THE_BOOK = exists().where(AUDIT.c.person_id == PEOPLE.c.id)
_CONVERSATION_IN_THE_BOOK = exists().where(_IS_THEIRS, AUDIT.c.conversation_id == CONVERSATIONS.c.id)
_COMPLAINT = exists().where(COMPLAINTS.c.person_id == PEOPLE.c.id)
_CONTACT = exists().where(EMERGENCY_CONTACTS.c.person_id == PEOPLE.c.id)
_UNPARSED = exists().where(UNPARSED_UPDATES.c.person_id == PEOPLE.c.id)
_IS_STRANGER = (
    PEOPLE.c.created_at <= _UNTIL,
    *(column.is_(None) for column in _KNOWN_FOR),
    ~_LASTING_CONVERSATION,
    ~_TURN,
    ~_LASTING_MESSAGE,
    ~_LASTING_DELIVERY,
    ~_TOLD_TO_OTHERS,
    ~_IN_THE_BOOK,
    ~_CONVERSATION_IN_THE_BOOK,
    ~_COMPLAINT,
    ~_CONTACT,
    ~_UNPARSED,
)
_THEM: BindParameter[Any] = bindparam("of_person", type_=PEOPLE.c.id.type)
_FIND = select(PEOPLE.c.id).where(*_IS_STRANGER).limit(bindparam("max_count"))
# checked again: they may have written since
_LOCK = select(PEOPLE.c.id).where(PEOPLE.c.id == _THEM, *_IS_STRANGER).with_for_update(of=PEOPLE, skip_locked=True)
_DELETIONS = (
    delete(DELIVERIES).where(DELIVERIES.c.person_id == _THEM),
    delete(MESSAGES).where(MESSAGES.c.person_id == _THEM),
    delete(CONVERSATIONS).where(CONVERSATIONS.c.person_id == _THEM),
    delete(PEOPLE).where(PEOPLE.c.id == _THEM),
)


def find(session: Session, *, until: datetime, limit: int) -> list[UUID]:
    """At most `limit` people silent since then. Scans all people, so it only reads."""
    return list(session.scalars(_FIND, {"until": until, "max_count": limit}))


def forget(session: Session, person_id: UUID, *, until: datetime) -> bool:
    """Delete all their rows; False if they are no longer a stranger."""
    if session.scalar(_LOCK, {"of_person": person_id, "until": until}) is None:
        return False
    for statement in _DELETIONS:
        session.execute(statement, {"of_person": person_id})
    return True


def note(session: Session, count: int, *, now: datetime) -> None:
    """For the audit: how many were forgotten, never who."""
    audit.note(session, actor="housekeeper", action=FORGOTTEN, whom=Whom(), reason=f"people={count}", now=now)
