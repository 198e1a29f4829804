"""The course of a conversation's risk: stored with it, sealed, and independent of the model's window."""

from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import bindparam, update
from sqlalchemy.orm import Session

from care.course import Course
from dialogue.core.conversations import OpenConversation
from dialogue.core.people import KnownPerson
from dialogue.storage.vault import PersonKey
from dialogue.tables import CONVERSATIONS

ALARM = "alarm"
"""The `action` of the audit entry for a risk alarm; its `reason` is the tier."""

_COLUMN = "conversations.course"
_AS_JSON = TypeAdapter(Course)
_KEEP = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id == bindparam("conversation_id"))
    .values(course=bindparam("new_course"), tier=bindparam("new_tier"))
)


def course_in(person: KnownPerson, conversation: OpenConversation | None) -> Course:
    """The conversation's course; a new one if it has none."""
    if conversation is None or conversation.sealed_course is None:
        return Course()
    return opened(person.key, conversation.id, conversation.sealed_course)


def opened(key: PersonKey, conversation_id: UUID, sealed: bytes) -> Course:
    """The stored course of that conversation."""
    return _AS_JSON.validate_json(key.open(sealed, row=conversation_id, column=_COLUMN))


def keep(session: Session, person: KnownPerson, conversation_id: UUID, course: Course) -> None:
    """Store the course, and its tier in plain text for the lists of admins."""
    sealed = person.key.seal(_AS_JSON.dump_json(course).decode(), row=conversation_id, column=_COLUMN)
    values = {"new_course": sealed, "new_tier": int(course.tier)}
    session.execute(_KEEP, {"conversation_id": conversation_id, **values})
