"""Rotates the master key for the secrets of second factors, as `dialogue.upkeep.key_rotation` does for people."""

from collections import Counter
from typing import cast

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dialogue.errors import Unreadable
from dialogue.storage.vault import KEY_ID_BYTES, MasterKeys
from dialogue.tables import Staff


def rewrap_all(session: Session, keys: MasterKeys) -> int:
    """Wrap every member's data key with the current master key; returns how many were wrapped by another."""
    count = 0
    for staff_id, wrapped in session.execute(select(Staff.id, Staff.data_key).where(Staff.data_key.is_not(None))):
        old = cast("bytes", wrapped)
        if old.startswith(keys.current) or not keys.knows(old):
            continue
        try:
            rewrapped = keys.rewrap(old, staff_id)
        except Unreadable:
            continue
        session.execute(update(Staff).where(Staff.id == staff_id, Staff.data_key == old).values(data_key=rewrapped))
        count += 1
    return count


def wrapped_by(session: Session) -> Counter[str]:
    """Number of data keys by id of the master key that wraps them."""
    found = session.scalars(select(Staff.data_key).where(Staff.data_key.is_not(None)))
    return Counter(cast("bytes", wrapped)[:KEY_ID_BYTES].hex() for wrapped in found)
