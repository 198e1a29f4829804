"""The one place that asks what time it is, so that tests can answer."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Aware UTC; hosts that share a database are expected to keep their clocks by NTP."""
    return datetime.now(UTC)
