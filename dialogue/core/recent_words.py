"""What a person wrote just before: a sentence that is split over messages is heard as one."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from dialogue.core.commands import Command
from dialogue.core.people import KnownPerson
from dialogue.core.quotations import own_words
from dialogue.tables import MESSAGES

BREATH: Final = timedelta(minutes=10)
MAX_MESSAGES: Final = 5
_MARKS: Final = frozenset(command.name for command in Command)
LATEST = (
    select(MESSAGES.c.id, MESSAGES.c.text)
    .where(
        MESSAGES.c.person_id == bindparam("person_id"),
        MESSAGES.c.received_at > bindparam("since", type_=MESSAGES.c.received_at.type),
        MESSAGES.c.text.is_not(None),
    )
    .order_by(MESSAGES.c.received_at.desc(), MESSAGES.c.id.desc())
    .limit(MAX_MESSAGES)
)


class SealedWords(NamedTuple):
    """A message as it is stored."""

    id: UUID
    text: bytes


def recent_words(session: Session, person: KnownPerson, *, now: datetime) -> tuple[str, ...]:
    """The person's last messages of the last minutes that are kept, oldest first; without commands and marks."""
    rows = session.execute(LATEST, {"person_id": person.id, "since": now - BREATH})
    return opened(person, [SealedWords(row.id, row.text) for row in rows])


def opened(person: KnownPerson, sealed: Iterable[SealedWords]) -> tuple[str, ...]:
    """The words of the messages that `LATEST` finds, in any order."""
    texts = map(own_words, as_kept(person, sealed))
    return tuple(text for text in texts if text not in _MARKS and text.strip("\ufffc\ufffd\N{NO ENTRY}"))


def as_kept(person: KnownPerson, sealed: Iterable[SealedWords]) -> tuple[str, ...]:
    """The same as they are kept: with somebody else's words, marked, and with commands."""
    in_order = sorted(sealed, key=lambda words: words.id)
    return tuple(person.key.open(words.text, row=words.id, column="messages.text") for words in in_order)
