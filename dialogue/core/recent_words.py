"""What a person wrote just before: a sentence that is split over messages is heard as one."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from dialogue.core.cited import own_words
from dialogue.core.commands import Command
from dialogue.core.people import KnownPerson
from dialogue.tables import MESSAGES

BREATH: Final = timedelta(minutes=10)
MAX_MESSAGES: Final = 5
_MARKS: Final = frozenset(command.name for command in Command)
_LATEST = (
    select(MESSAGES.c.id, MESSAGES.c.text)
    .where(
        MESSAGES.c.person_id == bindparam("person_id"),
        MESSAGES.c.received_at > bindparam("since", type_=MESSAGES.c.received_at.type),
        MESSAGES.c.text.is_not(None),
    )
    .order_by(MESSAGES.c.id.desc())
    .limit(MAX_MESSAGES)
)


def recent_words(session: Session, person: KnownPerson, *, now: datetime) -> tuple[str, ...]:
    """The person's last messages of the last minutes that are kept, oldest first; without commands and marks."""
    texts = map(own_words, recent_texts(session, person, now=now))
    return tuple(text for text in texts if text not in _MARKS and text.strip("\ufffc\ufffd\N{NO ENTRY}"))


def recent_texts(session: Session, person: KnownPerson, *, now: datetime) -> tuple[str, ...]:
    """The same as they are kept: with somebody else's words, marked, and with commands."""
    rows = session.execute(_LATEST, {"person_id": person.id, "since": now - BREATH}).all()
    return tuple(person.key.open(row.text, row=row.id, column="messages.text") for row in reversed(rows))
