"""The one place that asks what time it is, so that tests can answer and hosts that share a database agree.

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
    """The true time was `true_ns` at some moment between those two of the monotonic clock.

    What this process holds to be the time moves only as far as that proves it wrong, so that an answer which was long
    under way (a slow network, a process that was stopped) does no harm.
    """
    global _true_minus_monotonic_ns  # noqa: PLW0603 - a process has one time
    least, most = true_ns - answered_at_ns, true_ns - asked_at_ns
    held = _true_minus_monotonic_ns
    _true_minus_monotonic_ns = (least + most) // 2 if held is None else min(max(held, least), most)


def follow_the_host() -> None:
    """Back to the host's own clock."""
    global _true_minus_monotonic_ns  # noqa: PLW0603 - as above
    _true_minus_monotonic_ns = None
