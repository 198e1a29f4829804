"""The course of danger of one person: kept with them, sealed, through every end and new beginning of a conversation.

A copy stands with the conversation in which it moved, for those who watch over conversations.
"""

from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import bindparam, update
from sqlalchemy.orm import Session

from care.course import Course
from dialogue.core.conversations import OpenConversation
from dialogue.core.people import KnownPerson
from dialogue.storage.vault import PersonKey
from dialogue.tables import CONVERSATIONS, PEOPLE

ALARM = "alarm"
"""The `action` of the audit entry for a risk alarm; its `reason` is the tier."""

_COLUMN = "conversations.course"
_COLUMN_OF_PERSON = "people.course"
_AS_JSON = TypeAdapter(Course)
_KEEP_WITH_PERSON = update(PEOPLE).where(PEOPLE.c.id == bindparam("person_id")).values(course=bindparam("new_course"))
_KEEP = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id == bindparam("conversation_id"))
    .values(course=bindparam("new_course"), tier=bindparam("new_tier"))
)


def course_of(person: KnownPerson, conversation: OpenConversation | None) -> Course:
    """How danger ran so far; the conversation's own where it began before courses belonged to people."""
    if person.sealed_course is not None:
        return _AS_JSON.validate_json(person.key.open(person.sealed_course, row=person.id, column=_COLUMN_OF_PERSON))
    if conversation is None or conversation.sealed_course is None:
        return Course()
    return opened(person.key, conversation.id, conversation.sealed_course)


def opened(key: PersonKey, conversation_id: UUID, sealed: bytes) -> Course:
    """The stored course of that conversation."""
    return _AS_JSON.validate_json(key.open(sealed, row=conversation_id, column=_COLUMN))


def keep(session: Session, person: KnownPerson, conversation_id: UUID, course: Course) -> None:
    """Write the course; with the conversation its tier as well, for those who watch over conversations."""
    words = _AS_JSON.dump_json(course).decode()
    own = person.key.seal(words, row=person.id, column=_COLUMN_OF_PERSON)
    session.execute(_KEEP_WITH_PERSON, {"person_id": person.id, "new_course": own})
    sealed = person.key.seal(words, row=conversation_id, column=_COLUMN)
    values = {"new_course": sealed, "new_tier": int(course.tier)}
    session.execute(_KEEP, {"conversation_id": conversation_id, **values})
