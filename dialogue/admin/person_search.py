"""Searches what one person wrote and was told, for who may read it. The words are sealed: each is opened and looked at.

A search is audited as a reading of the person's words; what was looked for is not kept.
"""

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from dialogue.admin import audit
from dialogue.admin.audit import Action, Whom
from dialogue.admin.office import Actor, Office
from dialogue.core import people
from dialogue.storage.vault import PersonKey
from dialogue.tables import CONVERSATIONS, MESSAGES, TURNS

MAX_FOUND = 100
_MAX_LOOKED_AT = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWords:
    """A text that holds what was looked for; `is_theirs`: the person wrote it."""

    at: datetime
    conversation_id: UUID
    is_theirs: bool
    text: str = field(repr=False)


def search(
    session: Session, office: Office, person_id: UUID, wanted: str, *, by: Actor, now: datetime
) -> list[FoundWords]:
    """The newest texts that hold `wanted`, in whatever case and width. Raises `Erased`, `WrongSecretKey`."""
    key = people.key_of(session, office.keys, person_id)
    audit.note(session, actor=by.name, action=Action.SEARCH, whom=Whom(person_id=person_id), reason=None, now=now)
    looked_for = _folded(wanted)
    found = [*_theirs(session, key, person_id), *_ours(session, key, person_id)]
    fitting = [one for one in found if looked_for and looked_for in _folded(one.text)]
    return sorted(fitting, key=lambda one: one.at, reverse=True)[:MAX_FOUND]


def _theirs(session: Session, key: PersonKey, person_id: UUID) -> list[FoundWords]:
    query = (
        select(MESSAGES.c.id, MESSAGES.c.text, MESSAGES.c.received_at, MESSAGES.c.conversation_id)
        .where(MESSAGES.c.person_id == person_id, MESSAGES.c.text.is_not(None), MESSAGES.c.conversation_id.is_not(None))
        .order_by(MESSAGES.c.id.desc())
        .limit(_MAX_LOOKED_AT)
    )
    return [
        FoundWords(
            at=row.received_at,
            conversation_id=row.conversation_id,
            is_theirs=True,
            text=key.open(row.text, row=row.id, column="messages.text"),
        )
        for row in session.execute(query)
    ]


def _ours(session: Session, key: PersonKey, person_id: UUID) -> list[FoundWords]:
    query = (
        select(TURNS.c.id, TURNS.c.reply, TURNS.c.finished_at, TURNS.c.conversation_id)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == TURNS.c.conversation_id)
        .where(CONVERSATIONS.c.person_id == person_id, TURNS.c.reply.is_not(None), TURNS.c.finished_at.is_not(None))
        .order_by(TURNS.c.id.desc())
        .limit(_MAX_LOOKED_AT)
    )
    return [
        FoundWords(
            at=row.finished_at,
            conversation_id=row.conversation_id,
            is_theirs=False,
            text=key.open(row.reply, row=row.id, column="turns.reply"),
        )
        for row in session.execute(query)
    ]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()
