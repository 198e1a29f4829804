"""Rotates the master key while bot and worker run: each data key is rewrapped, texts are not touched.

Every process must have [new, old] before this starts, which their heartbeats tell. An old key may be removed when it
wraps nothing any more and no process wraps with it.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from dialogue.errors import Unreadable
from dialogue.storage.vault import KEY_ID_BYTES, MasterKeys
from dialogue.tables import PEOPLE
from dialogue.telemetry import heartbeat
from dialogue.telemetry.heartbeat import Identity

_KEY_ID = func.substr(PEOPLE.c.data_key, 1, KEY_ID_BYTES, type_=PEOPLE.c.data_key.type)
_SOME = (
    select(PEOPLE.c.id, PEOPLE.c.data_key)
    .where(
        PEOPLE.c.data_key.is_not(None),
        bindparam("current", type_=PEOPLE.c.data_key.type) != _KEY_ID,
        PEOPLE.c.id > bindparam("after"),
    )
    .order_by(PEOPLE.c.id)
    .limit(bindparam("max_count"))
)
# the old value is compared again: a person erased in the meantime stays erased
_REWRAP = (
    update(PEOPLE)
    .where(PEOPLE.c.id == bindparam("person_id"), PEOPLE.c.data_key == bindparam("old_data_key"))
    .values(data_key=bindparam("new_data_key"))
)
_WRAPPED_BY = select(_KEY_ID, func.count()).where(PEOPLE.c.data_key.is_not(None)).group_by(_KEY_ID)

BEGINNING = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RotatedBatch:
    """How many data keys were rewrapped, how many no master key opens, and where to continue; None at the end."""

    rewrapped: int
    unreadable: int
    last_id: UUID | None


def rotate(session: Session, keys: MasterKeys, *, after: UUID, limit: int) -> RotatedBatch:
    """Wrap the next `limit` data keys with the current master key. Idempotent, from any starting point."""
    found = session.execute(_SOME, {"current": keys.current, "after": after, "max_count": limit}).all()
    unreadable = 0
    for person in found:
        if not keys.knows(person.data_key):
            unreadable += 1
            continue
        try:
            rewrapped = keys.rewrap(person.data_key, person.id)
        except Unreadable:
            unreadable += 1
            continue
        change = {"person_id": person.id, "old_data_key": person.data_key, "new_data_key": rewrapped}
        session.execute(_REWRAP, change)
    return RotatedBatch(
        rewrapped=len(found) - unreadable,
        unreadable=unreadable,
        last_id=found[-1].id if len(found) == limit else None,
    )


def unprepared(session: Session, keys: MasterKeys, *, now: datetime) -> list[Identity]:
    """The running processes that could not open what the current master key wraps, or do not say."""
    running = [one.identity for one in heartbeat.present(session) if one.is_there(now)]
    return [one for one in running if keys.current_id not in (one.key_ids or ())]


def wrapping(session: Session, *, now: datetime) -> set[str | None]:
    """The ids of the master keys that running processes wrap new data keys with; None: one does not say."""
    running = [one.identity for one in heartbeat.present(session) if one.is_there(now)]
    return {one.key_ids[0] if one.key_ids else None for one in running}


def wrapped_by(session: Session) -> Counter[str]:
    """Number of data keys by id of the master key that wraps them; a master key that wraps none may be removed."""
    return Counter({key_id.hex(): count for key_id, count in session.execute(_WRAPPED_BY)})
