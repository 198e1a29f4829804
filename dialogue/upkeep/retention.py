"""Deletes texts a number of days after their conversation was closed, in small batches. Statistics are kept.

An open conversation is closed after being silent for as long.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, case, delete, exists, func, literal, or_, select, update
from sqlalchemy.orm import Session

from dialogue.core import conversations
from dialogue.states import UNSENT_DELIVERY_STATES, ClosedBy, DeliveryState
from dialogue.tables import (
    CASES,
    COMPLAINTS,
    CONVERSATIONS,
    DELIVERIES,
    MEDIA,
    MEDIUM_CHUNKS,
    MESSAGES,
    PERSON_NOTES,
    TURNS,
)

_PAST_DUE = (
    CONVERSATIONS.c.closed_at.is_not(None),
    CONVERSATIONS.c.purged_at.is_(None),
    CONVERSATIONS.c.closed_at <= bindparam("until"),
)
# a concurrent sweep takes another row
_OLDEST = (
    select(CONVERSATIONS.c.id, CONVERSATIONS.c.person_id)
    .where(*_PAST_DUE)
    .order_by(CONVERSATIONS.c.closed_at)
    .limit(1)
    .with_for_update(key_share=True, skip_locked=True)
)
_MESSAGES_OF = (
    select(MESSAGES.c.id)
    .where(
        MESSAGES.c.person_id == bindparam("of_person"),  # by its index
        MESSAGES.c.conversation_id == bindparam("of_conversation"),
        MESSAGES.c.text.is_not(None),
    )
    .limit(bindparam("max_count"))
)
_TURNS_OF = (
    select(TURNS.c.id)
    .where(
        TURNS.c.conversation_id == bindparam("of_conversation"),
        or_(TURNS.c.reply.is_not(None), TURNS.c.postscript.is_not(None)),
    )
    .limit(bindparam("max_count"))
)
_DELIVERIES_OF = (
    select(DELIVERIES.c.id)
    .where(DELIVERIES.c.conversation_id == bindparam("of_conversation"), DELIVERIES.c.text.is_not(None))
    .limit(bindparam("max_count"))
)
_MEDIA_OF = select(MEDIA.c.id).where(MEDIA.c.conversation_id == bindparam("of_conversation"))
_CHUNKS_OF = select(MEDIUM_CHUNKS.c.id).where(MEDIUM_CHUNKS.c.medium_id.in_(_MEDIA_OF)).limit(bindparam("max_count"))
_MESSAGES_ALONE = (
    select(MESSAGES.c.id)
    .where(
        MESSAGES.c.conversation_id.is_(None),
        MESSAGES.c.text.is_not(None),
        MESSAGES.c.received_at <= bindparam("until"),
    )
    .limit(bindparam("max_count"))
    .with_for_update(skip_locked=True)
)
_DELIVERIES_ALONE = (
    select(DELIVERIES.c.id)
    .where(
        DELIVERIES.c.conversation_id.is_(None),
        DELIVERIES.c.text.is_not(None),
        DELIVERIES.c.created_at <= bindparam("until"),
    )
    .limit(bindparam("max_count"))
    .with_for_update(skip_locked=True)
)
_COMPLAINTS_SETTLED = (
    select(COMPLAINTS.c.id)
    .where(COMPLAINTS.c.text.is_not(None), COMPLAINTS.c.settled_at <= bindparam("until"))
    .limit(bindparam("max_count"))
    .with_for_update(skip_locked=True)
)
_CASES_CLOSED = (
    select(CASES.c.id)
    .where(CASES.c.note.is_not(None), CASES.c.closed_at <= bindparam("until"))
    .limit(bindparam("max_count"))
    .with_for_update(skip_locked=True)
)
_NOTES_LEFT = (
    select(PERSON_NOTES.c.id)
    .where(
        PERSON_NOTES.c.written_at <= bindparam("until"),
        ~exists().where(CONVERSATIONS.c.person_id == PERSON_NOTES.c.person_id, CONVERSATIONS.c.purged_at.is_(None)),
    )
    .limit(bindparam("max_count"))
    .with_for_update(skip_locked=True)
)
_FORGET_MESSAGES = update(MESSAGES).values(text=None, expires_at=None).returning(MESSAGES.c.id)
_FORGET_TURNS = update(TURNS).values(reply=None, postscript=None).returning(TURNS.c.id)
# what is still owed is owed no more
_FORGET_DELIVERIES = (
    update(DELIVERIES)
    .values(
        text=None,
        state=case(
            (
                DELIVERIES.c.state.in_(UNSENT_DELIVERY_STATES),
                literal(DeliveryState.DISCARDED, DELIVERIES.c.state.type),
            ),
            else_=DELIVERIES.c.state,
        ),
    )
    .returning(DELIVERIES.c.id)
)
_FORGET_COMPLAINTS = update(COMPLAINTS).values(text=None).returning(COMPLAINTS.c.id)
_FORGET_CASE_NOTES = update(CASES).values(note=None).returning(CASES.c.id)
_FORGET_NOTES = delete(PERSON_NOTES).returning(PERSON_NOTES.c.id)
_FORGET_CHUNKS = delete(MEDIUM_CHUNKS).returning(MEDIUM_CHUNKS.c.id)
_FORGET_MEDIA = delete(MEDIA).returning(MEDIA.c.id)
_OF_CONVERSATION = (
    _FORGET_MESSAGES.where(MESSAGES.c.id.in_(_MESSAGES_OF)),
    _FORGET_TURNS.where(TURNS.c.id.in_(_TURNS_OF)),
    _FORGET_DELIVERIES.where(DELIVERIES.c.id.in_(_DELIVERIES_OF)),
    _FORGET_CHUNKS.where(MEDIUM_CHUNKS.c.id.in_(_CHUNKS_OF)),
    _FORGET_MEDIA.where(MEDIA.c.id.in_(_MEDIA_OF.limit(bindparam("max_count")))),  # behind the last of their chunks
)
_ALONE = (
    _FORGET_MESSAGES.where(MESSAGES.c.id.in_(_MESSAGES_ALONE)),
    _FORGET_DELIVERIES.where(DELIVERIES.c.id.in_(_DELIVERIES_ALONE)),
    _FORGET_COMPLAINTS.where(COMPLAINTS.c.id.in_(_COMPLAINTS_SETTLED)),
    _FORGET_CASE_NOTES.where(CASES.c.id.in_(_CASES_CLOSED)),
    _FORGET_NOTES.where(PERSON_NOTES.c.id.in_(_NOTES_LEFT)),
)
_PURGED = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id == bindparam("conversation_id"))
    .values(course=None, purged_at=bindparam("now"))
)
_IS_HEARD = exists().where(
    MESSAGES.c.person_id == CONVERSATIONS.c.person_id,  # by its index
    MESSAGES.c.conversation_id == CONVERSATIONS.c.id,
    MESSAGES.c.received_at > bindparam("until"),
)
_SILENT = (
    select(CONVERSATIONS.c.id)
    .where(CONVERSATIONS.c.closed_at.is_(None), CONVERSATIONS.c.opened_at <= bindparam("until"), ~_IS_HEARD)
    .limit(bindparam("max_count"))
    .with_for_update(key_share=True, skip_locked=True)
)
_OVERDUE_CONVERSATIONS = select(func.count(), func.min(CONVERSATIONS.c.closed_at)).where(*_PAST_DUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """The number of texts deleted, and of conversations that have none left."""

    texts: int = 0
    conversations: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """Overdue conversations that still have texts: how many, and the due time of the oldest."""

    conversations: int
    oldest_closed_at: datetime | None


def purge(session: Session, *, closed_until: datetime, limit: int, now: datetime) -> Purged:
    """Delete texts of conversations that were closed by then, at most `limit` in this transaction, oldest first.

    Texts that belong to no conversation count from their own day, complaints from the day they were settled, notes of
    staff from the day their case was closed, or they were written and nothing of the person is left.
    """
    texts = _run(session, _ALONE, limit, until=closed_until)
    count = 0
    while texts < limit:
        oldest = session.execute(_OLDEST, {"until": closed_until}).first()
        if oldest is None:
            break
        texts += _run(session, _OF_CONVERSATION, limit - texts, of_conversation=oldest.id, of_person=oldest.person_id)
        if texts < limit:
            session.execute(_PURGED, {"conversation_id": oldest.id, "now": now})
            count += 1
            texts += 1  # a conversation without texts is work as well
    return Purged(texts=texts - count, conversations=count)


def close_silent(session: Session, *, silent_since: datetime, limit: int, now: datetime) -> int:
    """Close at most `limit` conversations in which the person has written nothing since then; returns how many."""
    silent = session.scalars(_SILENT, {"until": silent_since, "max_count": limit}).all()
    for conversation_id in silent:
        conversations.reset(session, conversation_id, by=ClosedBy.SILENCE, now=now)
    return len(silent)


def overdue(session: Session, *, closed_until: datetime) -> Overdue:
    """What `purge` has still to do, from a partial index."""
    count, oldest = session.execute(_OVERDUE_CONVERSATIONS, {"until": closed_until}).one()
    return Overdue(conversations=count, oldest_closed_at=oldest)


def _run(session: Session, statements: tuple[Any, ...], limit: int, **values: UUID | datetime) -> int:
    """Run the statements in order until `limit` rows were affected."""
    count = 0
    for statement in statements:
        if count < limit:
            count += len(session.execute(statement, {**values, "max_count": limit - count}).all())
    return count
