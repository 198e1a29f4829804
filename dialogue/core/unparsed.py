"""Updates that could not be parsed: kept as they came, sealed, until staff read them or their retention ends.

A counselling bot must not drop words because a platform changed its shapes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from dialogue.core import people
from dialogue.storage.database import insert_or_ignore
from dialogue.storage.ids import new_id
from dialogue.storage.vault import MasterKeys, PersonKey
from dialogue.tables import PEOPLE, UNPARSED_UPDATES

NOBODY = "nobody"
"""The user id that an update is sealed for where it does not tell who sent it."""

_COLUMN = "unparsed_updates.content"
_FOUND = select(UNPARSED_UPDATES.c.id).where(
    UNPARSED_UPDATES.c.channel == bindparam("channel"), UNPARSED_UPDATES.c.external_id == bindparam("external_id")
)
_ALL = (
    select(UNPARSED_UPDATES, PEOPLE.c.user_id)
    .join(PEOPLE, PEOPLE.c.id == UNPARSED_UPDATES.c.person_id)
    .order_by(UNPARSED_UPDATES.c.id.desc())
    .limit(bindparam("max_count"))
)
_ONE = select(UNPARSED_UPDATES).where(UNPARSED_UPDATES.c.id == bindparam("of_id"))
_LATEST = select(func.max(UNPARSED_UPDATES.c.received_at)).where(UNPARSED_UPDATES.c.channel == bindparam("channel"))
_READ = update(UNPARSED_UPDATES).where(UNPARSED_UPDATES.c.id == bindparam("of_id")).values(read_at=bindparam("now"))
_UNREAD = select(func.count()).select_from(UNPARSED_UPDATES).where(UNPARSED_UPDATES.c.read_at.is_(None))
_OF_PERSON = select(UNPARSED_UPDATES.c.id, UNPARSED_UPDATES.c.content, UNPARSED_UPDATES.c.received_at).where(
    UNPARSED_UPDATES.c.person_id == bindparam("of_person")
)
_PURGE = delete(UNPARSED_UPDATES).where(UNPARSED_UPDATES.c.received_at <= bindparam("until"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unparsed:
    """An update as the platform sent it. `error` names what went wrong, in a word; `user_id` is None where unknown."""

    channel: str
    external_id: str
    user_id: str | None
    content: str = field(repr=False)
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptUpdate:
    """What may be listed of a kept update: no words."""

    id: UUID
    channel: str
    user_id: str
    error: str
    received_at: datetime
    read_at: datetime | None


def keep(session: Session, keys: MasterKeys, unparsed: Unparsed, *, now: datetime) -> UUID | None:
    """Keep it, sealed; None if it was kept before. Raises `WrongSecretKey`."""
    user_id = unparsed.user_id or NOBODY
    person = people.locked(session, keys, channel=unparsed.channel, user_id=user_id, now=now)
    place = {"channel": unparsed.channel, "external_id": unparsed.external_id}
    if session.execute(_FOUND, place).first() is not None:
        return None
    row = new_id()
    values = {
        **place,
        "id": row,
        "person_id": person.id,
        "error": unparsed.error,
        "content": person.key.seal(unparsed.content, row=row, column=_COLUMN),
        "received_at": now,
    }
    insert_or_ignore(session, UNPARSED_UPDATES, values)
    return row


def latest_at(session: Session, channel: str) -> datetime | None:
    """When the newest one of that channel came."""
    latest: datetime | None = session.scalar(_LATEST, {"channel": channel})
    return latest


def kept(session: Session, *, limit: int) -> list[KeptUpdate]:
    """The newest first."""
    return [
        KeptUpdate(
            id=row.id,
            channel=row.channel,
            user_id=row.user_id,
            error=row.error,
            received_at=row.received_at,
            read_at=row.read_at,
        )
        for row in session.execute(_ALL, {"max_count": limit})
    ]


def unread_count(session: Session) -> int:
    """How many staff have not looked at."""
    return session.scalar(_UNREAD) or 0


def read(session: Session, keys: MasterKeys, update_id: UUID, *, now: datetime) -> tuple[UUID, str] | None:
    """The person and the update as it came, from now on marked as read; None if there is none with that id.

    Raises `Erased`, `WrongSecretKey`.
    """
    row = session.execute(_ONE, {"of_id": update_id}).first()
    if row is None:
        return None
    content = people.key_of(session, keys, row.person_id).open(row.content, row=row.id, column=_COLUMN)
    session.execute(_READ, {"of_id": update_id, "now": now})
    return row.person_id, content


def of_person(session: Session, key: PersonKey, person_id: UUID) -> Iterator[tuple[datetime, str]]:
    """What is kept of that person, as it came, and when."""
    for row in session.execute(_OF_PERSON, {"of_person": person_id}):
        yield row.received_at, key.open(row.content, row=row.id, column=_COLUMN)


def purge(session: Session, *, until: datetime) -> int:
    """Delete those that came until then; returns how many."""
    return int(getattr(session.execute(_PURGE, {"until": until}), "rowcount", 0))
