"""What every message is decided by, read in one statement once its person is locked: each one more is a round trip."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, cast, literal, null, select, union_all
from sqlalchemy.orm import Session

from dialogue.core import conversations, recent_words
from dialogue.core.conversations import OpenConversation
from dialogue.core.people import KnownPerson
from dialogue.core.recent_words import SealedWords
from dialogue.messages import InboundMessage
from dialogue.tables import CONVERSATIONS, MESSAGES

_CONVERSATION, _WORDS, _REPEAT = range(3)
_PLACE: Final = ("account", "taken_over_by", "relay_channel", "relay_account", "relay_chat_id")
_OPEN = conversations.OPEN.subquery("open_conversation")
_LATEST = recent_words.LATEST.subquery("latest_words")


def _in_no_place(part: int, row_id: ColumnElement[UUID], sealed: ColumnElement[bytes | None]) -> Select[Any]:
    """A row of what is no conversation."""
    nowhere = (cast(null(), CONVERSATIONS.c[name].type).label(name) for name in _PLACE)
    return select(literal(part).label("part"), row_id.label("id"), sealed.label("sealed"), *nowhere)


_ARRIVAL = union_all(
    select(
        literal(_CONVERSATION).label("part"),
        _OPEN.c.id.label("id"),
        _OPEN.c.course.label("sealed"),
        *(_OPEN.c[name].label(name) for name in _PLACE),
    ),
    _in_no_place(_WORDS, _LATEST.c.id, _LATEST.c.text),
    _in_no_place(_REPEAT, MESSAGES.c.id, cast(null(), MESSAGES.c.text.type)).where(
        MESSAGES.c.channel == bindparam("channel"),
        MESSAGES.c.account == bindparam("own_account"),
        MESSAGES.c.external_id == bindparam("external_id"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """`latest` are the person's last words of the last minutes, sealed (`recent_words.opened`)."""

    conversation: OpenConversation | None
    is_repeat: bool
    latest: tuple[SealedWords, ...] = field(repr=False)


def look(session: Session, person: KnownPerson, message: InboundMessage, *, now: datetime) -> Arrival:
    """What is open at the message's address, whether it was stored before, and what its person wrote just before.

    The person must be locked: nothing of it changes then until the transaction ends.
    """
    place = message.address.columns() | {"own_account": message.account, "external_id": message.external_id}
    rows = session.execute(_ARRIVAL, {**place, "person_id": person.id, "since": now - recent_words.BREATH}).all()
    return Arrival(
        conversation=next(
            (conversations.conversation_of(row, row.sealed) for row in rows if row.part == _CONVERSATION), None
        ),
        is_repeat=any(row.part == _REPEAT for row in rows),
        latest=tuple(SealedWords(row.id, row.sealed) for row in rows if row.part == _WORDS),
    )
