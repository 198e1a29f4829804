"""Row ids that sort by the time they were made (RFC 9562, version 7), so that order needs no second column."""

import hashlib
import os
import threading
from datetime import UTC, datetime
from uuid import UUID

from dialogue.storage import clock

_RANDOM_BITS = 62
_COUNTER_BITS = 12
_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """A version 7 UUID; within one process each is greater than the one before."""
    global _last  # noqa: PLW0603 - the order holds for the process
    with _lock:
        # 48 bits of milliseconds and 12 of their fraction, as section 6.2 method 3 allows
        ticks = clock.epoch_ns() * (1 << _COUNTER_BITS) // 1_000_000
        _last = max(ticks, _last + 1)
        ticks = _last
    milliseconds, fraction = divmod(ticks, 1 << _COUNTER_BITS)
    random = int.from_bytes(os.urandom(8)) & ((1 << _RANDOM_BITS) - 1)
    return UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | random)


def id_named(name: str, *, at: datetime) -> UUID:
    """A version 7 UUID of that moment that is the same for the same name, so that something is written once."""
    bits = int.from_bytes(hashlib.sha256(name.encode()).digest()[:10])
    fraction, random = bits >> 68, bits & ((1 << _RANDOM_BITS) - 1)
    return UUID(int=int(at.timestamp() * 1000) << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | random)


def made_at(id_: UUID) -> datetime:
    """The creation time in that id, to the millisecond."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, UTC)


def first_id_at(moment: datetime) -> UUID:
    """The smallest possible id of that moment, so that the primary key's index also serves ranges of time."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
