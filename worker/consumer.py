"""Celery's consumer, made to survive a broker that dies while replies are being generated, or that refuses writes."""

import contextlib
import time
from functools import partial
from typing import Any

import structlog
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.connection import Connection
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

from dialogue.broker.signals import redis_url
from dialogue.broker.write_probe import BrokerUnavailable, check_writable

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MAX_WRITABLE_PAUSE_SECONDS = 2.0

_RECONNECT_SECONDS = 2.0
"""Kombu's own pause grows to 30 seconds; until then only the fallback poll would find new turns."""

_TALK_BETWEEN_WORKERS = ("without_heartbeat", "without_gossip", "without_mingle")
"""We need none of it, and a heartbeat that cannot be published blocks this thread, SIGTERM included."""


class DurableConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """Reconnects soon (`worker.broker_transport` survives the loss)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | dict.fromkeys(_TALK_BETWEEN_WORKERS, True))

    def connect(self) -> Connection:
        """Consumes only from a broker that takes writes: each message taken is one."""
        _wait_until_writable(self.app.conf.broker_url)
        connected: Connection = super().connect()
        return connected

    def ensure_connected(self, conn: Connection) -> Connection:
        """Retries at short and equal intervals."""
        at_equal_intervals = partial(conn.ensure_connection, interval_start=_RECONNECT_SECONDS, interval_step=0)
        conn.ensure_connection = at_equal_intervals  # type: ignore[method-assign]  # Celery passes no intervals on
        connected: Connection = super().ensure_connected(conn)
        return connected


def _wait_until_writable(broker_url: str) -> None:
    """Until the broker takes writes, or the worker shall stop. An error of the connection is left to Celery."""
    redis = Redis.from_url(redis_url(broker_url), retry=Retry(NoBackoff(), 0))
    with contextlib.closing(redis):
        attempt = 0
        while True:
            try:
                check_writable(redis)
            except BrokerUnavailable as error:
                attempt += 1
                if not isinstance(error.__cause__, ResponseError):
                    return
                (log.error if attempt == 1 else log.debug)("broker_refuses_writes", error=str(error))
            else:
                if attempt:
                    log.info("broker_takes_writes")
                return
            state.maybe_shutdown()
            time.sleep(min(_MAX_WRITABLE_PAUSE_SECONDS, 0.1 * 2**attempt))
