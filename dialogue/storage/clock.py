"""The only source of the current time, so that tests can set it and hosts that share a database agree on it.

Until a process has asked its database (`dialogue.storage.timekeeper`), this is the host's clock; from then on the
database's, carried forward by the monotonic clock. A host whose clock is wrong, or jumps, then misorders nothing.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_true_minus_monotonic_ns: int | None = None


def utc_now() -> datetime:
    """Aware UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=epoch_ns() // 1000)


def epoch_ns() -> int:
    """Nanoseconds since 1970."""
    if _true_minus_monotonic_ns is None:
        return time.time_ns()
    return time.monotonic_ns() + _true_minus_monotonic_ns


def follow(true_ns: int, *, asked_at_ns: int, answered_at_ns: int) -> None:
    """Adjust the clock: it was `true_ns` at some moment between those two readings of the monotonic clock.

    The clock moves only as far as that interval proves it wrong, so an answer delayed by a slow network or a stopped
    process does no harm.
    """
    global _true_minus_monotonic_ns  # noqa: PLW0603 - a process has one time
    least, most = true_ns - answered_at_ns, true_ns - asked_at_ns
    held = _true_minus_monotonic_ns
    _true_minus_monotonic_ns = (least + most) // 2 if held is None else min(max(held, least), most)


def follow_the_host() -> None:
    """Use the host's own clock again."""
    global _true_minus_monotonic_ns  # noqa: PLW0603 - as above
    _true_minus_monotonic_ns = None
