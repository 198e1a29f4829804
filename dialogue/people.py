"""Who wrote. A person is locked for the length of an intake, which gives each of them one order of events."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from dialogue.database import insert_or_ignore
from dialogue.ids import new_id
from dialogue.tables import Person
from dialogue.vault import MasterKeys, PersonKey


def locked(session: Session, keys: MasterKeys, *, channel: str, user_id: str, now: datetime) -> Person:
    """The person of that channel and user id, made if need be, locked until the transaction ends."""
    person = _select_locked(session, channel, user_id)
    if person is not None:
        return person
    person_id = new_id()
    values = {
        "id": person_id,
        "channel": channel,
        "user_id": user_id,
        "data_key": keys.new_data_key(person_id),
        "created_at": now,
    }
    insert_or_ignore(session, Person, values)
    person = _select_locked(session, channel, user_id)
    if person is None:
        raise LookupError("A person vanished between insert and select.")
    return person


def key_of(session: Session, keys: MasterKeys, person_id: UUID) -> PersonKey:
    """The key to that person's texts; raises `Erased`, `WrongSecretKey`."""
    wrapped = session.scalar(select(Person.data_key).where(Person.id == person_id))
    return keys.person_key(wrapped, person_id)


def check_master_key(session: Session, keys: MasterKeys) -> None:
    """Raises `WrongSecretKey` unless the newest person's data key can be opened (no people: nothing to check)."""
    newest = select(Person.id, Person.data_key).where(Person.data_key.is_not(None)).order_by(Person.id.desc()).limit(1)
    for person_id, wrapped in session.execute(newest):
        keys.person_key(wrapped, person_id)


def _select_locked(session: Session, channel: str, user_id: str) -> Person | None:
    # FOR NO KEY UPDATE: a worker that writes this person's delivery need not wait for their next message
    query = select(Person).where(Person.channel == channel, Person.user_id == user_id)
    return session.scalar(query.with_for_update(key_share=True))
