"""Erases a person: deleting their data key makes all their texts unreadable at once; the rows are deleted later.

Only what says nothing about them is kept: numbers of turns, ratings, and the fact of the erasure.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Whom
from dialogue.core import conversations, outbox, people
from dialogue.messages import Address
from dialogue.states import UNSENT_DELIVERY_STATES, ClosedBy, DeliveryKind, DeliveryState
from dialogue.tables import (
    CASES,
    COMPLAINTS,
    CONVERSATIONS,
    DELIVERIES,
    EMERGENCY_CONTACTS,
    MEDIA,
    MEDIUM_CHUNKS,
    MESSAGES,
    PEOPLE,
    PERSON_NOTES,
    SEND_BUDGETS,
    TURNS,
    UNPARSED_UPDATES,
)

ERASED = "erased"
"""The `action` of an audit entry: this person was erased, by whom and when."""

REPLAY = timedelta(days=2)
"""How long rows outlive the key: an update that a platform repeats in that time must still be recognised."""

_IS_THEIRS = CONVERSATIONS.c.person_id == bindparam("of_person")
_THEIR_CONVERSATIONS = select(CONVERSATIONS.c.id).where(_IS_THEIRS)
_THEIR_MESSAGES = select(MESSAGES.c.id).where(MESSAGES.c.person_id == bindparam("of_person"))
_LOCK = (
    select(PEOPLE.c.erased_at, PEOPLE.c.data_key, PEOPLE.c.language)
    .where(PEOPLE.c.id == bindparam("of_person"))
    .with_for_update(key_share=True)
)
_OPEN = _THEIR_CONVERSATIONS.where(CONVERSATIONS.c.closed_at.is_(None))
_LAST_PLACE = (
    select(CONVERSATIONS.c.channel, CONVERSATIONS.c.account, CONVERSATIONS.c.chat_id)
    .where(_IS_THEIRS)
    .order_by(CONVERSATIONS.c.id.desc())
    .limit(1)
)
_SETTLE_OWED = (
    update(DELIVERIES)
    .where(DELIVERIES.c.person_id == bindparam("of_person"), DELIVERIES.c.state.in_(UNSENT_DELIVERY_STATES))
    .values(state=DeliveryState.DISCARDED)
)
# texts to others about them are encrypted with other keys; alerts hold ids only, and must arrive
_COPIES = (
    DELIVERIES.c.conversation_id.in_(_THEIR_CONVERSATIONS),
    DELIVERIES.c.person_id != bindparam("of_person"),
    DELIVERIES.c.kind != DeliveryKind.ALERT,
)
_TAKE_BACK_COPIES = update(DELIVERIES).where(*_COPIES).values(text=None)
_SETTLE_COPIES = (
    update(DELIVERIES)
    .where(*_COPIES, DELIVERIES.c.state.in_(UNSENT_DELIVERY_STATES))
    .values(state=DeliveryState.DISCARDED)
)
_FORGET_CONTACT = delete(EMERGENCY_CONTACTS).where(EMERGENCY_CONTACTS.c.person_id == bindparam("of_person"))
_FORGET_COMPLAINTS = update(COMPLAINTS).where(COMPLAINTS.c.person_id == bindparam("of_person")).values(text=None)
_FORGET_CASE_NOTES = update(CASES).where(CASES.c.person_id == bindparam("of_person")).values(note=None)
_FORGET_NOTES = delete(PERSON_NOTES).where(PERSON_NOTES.c.person_id == bindparam("of_person"))
_FORGET_UNPARSED = delete(UNPARSED_UPDATES).where(UNPARSED_UPDATES.c.person_id == bindparam("of_person"))
_THEIR_MEDIA = select(MEDIA.c.id).where(MEDIA.c.person_id == bindparam("of_person"))
_FORGET_CHUNKS = delete(MEDIUM_CHUNKS).where(MEDIUM_CHUNKS.c.medium_id.in_(_THEIR_MEDIA))
_FORGET_MEDIA = delete(MEDIA).where(MEDIA.c.person_id == bindparam("of_person"))
_ERASED_IDS = select(PEOPLE.c.id).where(PEOPLE.c.erased_at.is_not(None)).order_by(PEOPLE.c.id)
_RESTORED = select(PEOPLE.c.id).where(PEOPLE.c.id == bindparam("of_person"), PEOPLE.c.data_key.is_not(None))

_UNSCRUBBED = (
    select(PEOPLE.c.id)
    .where(
        PEOPLE.c.erased_at.is_not(None), PEOPLE.c.scrubbed_at.is_(None), PEOPLE.c.erased_at <= bindparam("erased_until")
    )
    .order_by(PEOPLE.c.erased_at)
    .limit(1)
    .with_for_update(key_share=True, skip_locked=True)
)
_SOME_DELIVERIES = (
    select(DELIVERIES.c.id)
    .where(
        or_(
            DELIVERIES.c.person_id == bindparam("of_person"),
            DELIVERIES.c.conversation_id.in_(_THEIR_CONVERSATIONS),
            DELIVERIES.c.message_id.in_(_THEIR_MESSAGES),
        )
    )
    .limit(bindparam("max_count"))
)
_SOME_TURNS = (
    select(TURNS.c.id)
    .join(CONVERSATIONS, CONVERSATIONS.c.id == TURNS.c.conversation_id)
    .where(_IS_THEIRS, or_(TURNS.c.reply.is_not(None), TURNS.c.postscript.is_not(None)))
    .limit(bindparam("max_count"))
)
_SCRUBS = (
    delete(DELIVERIES).where(DELIVERIES.c.id.in_(_SOME_DELIVERIES)).returning(DELIVERIES.c.id),
    delete(MESSAGES).where(MESSAGES.c.id.in_(_THEIR_MESSAGES.limit(bindparam("max_count")))).returning(MESSAGES.c.id),
    update(TURNS).where(TURNS.c.id.in_(_SOME_TURNS)).values(reply=None, postscript=None).returning(TURNS.c.id),
)
_FORGET_PLACE = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id == bindparam("conversation_id"))
    .values(chat_id=bindparam("new_chat_id"), course=None, purged_at=bindparam("now"))
)
_FORGET_BUDGETS = delete(SEND_BUDGETS).where(SEND_BUDGETS.c.person_id == bindparam("of_person"))
_STILL_SPEAKS = update(PEOPLE).where(PEOPLE.c.id == bindparam("of_person")).values(language=bindparam("of_language"))
_SCRUBBED = (
    update(PEOPLE).where(PEOPLE.c.id == bindparam("of_person")).values(scrubbed_at=bindparam("now"), language=None)
)


def erase(
    session: Session,
    person_id: UUID,
    *,
    by: ClosedBy,
    actor: str,
    reason: str | None = None,
    farewell_to: Address | None,
    now: datetime,
) -> UUID | None:
    """Delete the key, end the open conversations, and queue a farewell to `farewell_to` if given.

    Returns the farewell's delivery. Does nothing if the person is unknown or already erased.
    Raises `ReasonTooLong`.
    """
    person = session.execute(_LOCK, {"of_person": person_id}).first()
    if person is None or (person.erased_at is not None and person.data_key is None):
        return None
    theirs = {"of_person": person_id}
    for conversation_id in session.scalars(_OPEN, theirs).all():
        conversations.reset(session, conversation_id, by=by, now=now)
    for statement in (
        _SETTLE_OWED,
        _TAKE_BACK_COPIES,
        _SETTLE_COPIES,
        _FORGET_CONTACT,
        _FORGET_COMPLAINTS,
        _FORGET_CASE_NOTES,
        _FORGET_NOTES,
        _FORGET_UNPARSED,
        _FORGET_CHUNKS,
        _FORGET_MEDIA,
    ):
        session.execute(statement, theirs)
    people.set_aside(session, person_id, now=now)
    if farewell_to is not None:  # which is to be said in their language; that too is forgotten with their files
        session.execute(_STILL_SPEAKS, {"of_person": person_id, "of_language": person.language})
    audit.note(session, actor=actor, action=ERASED, whom=Whom(person_id), reason=reason, now=now)
    if farewell_to is None:
        return None
    return outbox.owe_unwritten(session, person_id=person_id, address=farewell_to, kind=DeliveryKind.FAREWELL, now=now)


def last_place(session: Session, person_id: UUID) -> Address | None:
    """The address of the person's last conversation, for a farewell that answers no message."""
    place = session.execute(_LAST_PLACE, {"of_person": person_id}).first()
    return None if place is None else Address.of(place)


def erased_ids(session: Session) -> list[UUID]:
    """Everybody who was erased, to be erased again after restoring an older backup."""
    return list(session.scalars(_ERASED_IDS))


def erase_again(session: Session, person_ids: Iterable[UUID], *, actor: str, now: datetime) -> int:
    """Erase again those whom a restored backup brought back; returns how many."""
    restored = [
        person_id for person_id in person_ids if session.scalar(_RESTORED, {"of_person": person_id}) is not None
    ]
    for person_id in restored:
        erase(session, person_id, by=ClosedBy.ADMIN, actor=actor, reason="restored", farewell_to=None, now=now)
    return len(restored)


def scrub(session: Session, *, limit: int, now: datetime) -> int:
    """Delete at most `limit` expired rows of one erased person; returns how many, 0 when none are left."""
    person_id = session.scalar(_UNSCRUBBED, {"erased_until": now - REPLAY})
    if person_id is None:
        return 0
    count = 0
    for statement in _SCRUBS:
        some = {"of_person": person_id, "max_count": limit - count}
        count += len(session.execute(statement, some).all())
        if count >= limit:
            return count
    for conversation_id in session.scalars(_THEIR_CONVERSATIONS, {"of_person": person_id}).all():
        place = {"conversation_id": conversation_id, "new_chat_id": f"erased:{conversation_id}", "now": now}
        session.execute(_FORGET_PLACE, place)
    session.execute(_FORGET_BUDGETS, {"of_person": person_id})
    session.execute(_SCRUBBED, {"of_person": person_id, "now": now})
    return count + 1
