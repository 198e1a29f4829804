"""Resolves the search field: an id of ours, or a platform's user id."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from dialogue.admin import find
from dialogue.errors import NoSuchConversation
from dialogue.tables import DELIVERIES, MESSAGES, PEOPLE, TURNS

_BY_ID = tuple((table, select(table.c.conversation_id)) for table in (TURNS, DELIVERIES, MESSAGES))


def conversation_of(session: Session, text: str) -> UUID | None:
    """The conversation with that id, or the one of that turn, message or delivery; raises `Ambiguous`."""
    try:
        return find.conversation(session, text)
    except NoSuchConversation:
        pass
    whole = _whole_id(text)
    if whole is None:
        return None
    for table, query in _BY_ID:
        found: UUID | None = session.scalar(query.where(table.c.id == whole))
        if found is not None:
            return found
    return None


def person_of(session: Session, text: str, channels: Iterable[str]) -> UUID | None:
    """The person with that id, ours or a platform's, with or without a `channel:` prefix.

    Without it all `channels` are searched.
    """
    channel, colon, user_id = text.partition(":")
    searched, user_id = ([channel], user_id) if colon else (list(channels), text)
    by_account = select(PEOPLE.c.id).where(PEOPLE.c.channel.in_(searched), PEOPLE.c.user_id == user_id)
    found: UUID | None = session.scalar(by_account.limit(1))
    whole = _whole_id(text)
    if found is None and whole is not None:
        found = session.scalar(select(PEOPLE.c.id).where(PEOPLE.c.id == whole))
    return found


def _whole_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
