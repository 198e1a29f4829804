"""Celery's consumer, made to survive a broker that dies while replies are being generated."""

import contextlib
from functools import partial
from typing import Any

from celery.worker.consumer import Consumer
from kombu.connection import Connection

_RECONNECT_SECONDS = 2.0
"""Kombu's own pause grows to 30 seconds; until then only the fallback poll would find new turns."""

_TALK_BETWEEN_WORKERS = ("without_heartbeat", "without_gossip", "without_mingle")
"""We need none of it, and a heartbeat that cannot be published blocks this thread, SIGTERM included."""


class DurableConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """Reconnects whatever the state of the lost connection, and soon."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | dict.fromkeys(_TALK_BETWEEN_WORKERS, True))

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Kombu tries to requeue unacknowledged messages over the connection that it has already forgotten.

        Its `AttributeError` would end the worker (celery/kombu issue 582); the sweep announces these turns again.
        """
        with contextlib.suppress(AttributeError):
            super().on_connection_error_after_connected(exc)

    def ensure_connected(self, conn: Connection) -> Connection:
        """Retries at short and equal intervals."""
        at_equal_intervals = partial(conn.ensure_connection, interval_start=_RECONNECT_SECONDS, interval_step=0)
        conn.ensure_connection = at_equal_intervals  # type: ignore[method-assign]  # Celery passes no intervals on
        connected: Connection = super().ensure_connected(conn)
        return connected
