"""The course of danger in a conversation: kept with it, sealed, never shortened by the model's window."""

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
"""The `action` of an audit entry that says: somebody may be about to harm themselves. Its `reason` is the tier."""

_COLUMN = "conversations.course"
_AS_JSON = TypeAdapter(Course)
_KEEP = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id == bindparam("conversation_id"))
    .values(course=bindparam("new_course"), tier=bindparam("new_tier"))
)


def course_in(person: KnownPerson, conversation: OpenConversation | None) -> Course:
    """How danger ran so far; a new course for a conversation that has none."""
    if conversation is None or conversation.sealed_course is None:
        return Course()
    return opened(person.key, conversation.id, conversation.sealed_course)


def opened(key: PersonKey, conversation_id: UUID, sealed: bytes) -> Course:
    """The course that was kept with that conversation."""
    return _AS_JSON.validate_json(key.open(sealed, row=conversation_id, column=_COLUMN))


def keep(session: Session, person: KnownPerson, conversation_id: UUID, course: Course) -> None:
    """Write the course, and its tier beside it for those who watch over conversations."""
    sealed = person.key.seal(_AS_JSON.dump_json(course).decode(), row=conversation_id, column=_COLUMN)
    values = {"new_course": sealed, "new_tier": int(course.tier)}
    session.execute(_KEEP, {"conversation_id": conversation_id, **values})
