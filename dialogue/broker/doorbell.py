"""The Celery task that tells a worker to look at a conversation. Sent after the commit; the sweep repeats lost ones."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from celery import Celery
from celery.exceptions import CeleryError
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from dialogue.broker.circuit_breaker import CircuitBreaker

REPLY_TASK = "reply"
QUEUE = "mindglm"

_SECONDS_TO_CONNECT = 1.0
_VISIBILITY_SECONDS = 6 * 3600  # recovery comes from the lease in the database, never from the broker

COMMON_CONFIGURATION: dict[str, Any] = {
    "task_default_queue": QUEUE,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "broker_transport_options": {"visibility_timeout": _VISIBILITY_SECONDS, "socket_keepalive": True},
}
"""Celery settings that sender and worker must share."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def ringing_app(broker_url: str) -> Celery:
    """A Celery application that only sends; it fails at once when the broker is down."""
    app = Celery("mindglm", broker=broker_url, set_as_current=False)
    app.conf.update(COMMON_CONFIGURATION)
    app.conf.broker_transport_options = COMMON_CONFIGURATION["broker_transport_options"] | {
        "socket_connect_timeout": _SECONDS_TO_CONNECT,
        "socket_timeout": _SECONDS_TO_CONNECT,
        "max_retries": 0,
    }
    return app


class Doorbell:
    """Sends the task for conversations by id; thread-safe. Does nothing for a while after the broker failed."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._rest = CircuitBreaker()

    def ring(self, conversation_ids: Iterable[UUID]) -> None:
        """Best effort: a ring that fails is logged, and the sweep rings again."""
        for conversation_id in conversation_ids:
            if self._rest.is_on:
                return
            try:
                self._app.send_task(REPLY_TASK, args=[str(conversation_id)], queue=QUEUE, retry=False)
            except (KombuError, CeleryError, RedisError, OSError) as error:
                self._rest.begin()
                log.warning("ring_failed", conversation_id=str(conversation_id), error=type(error).__name__)
                return

    def close(self) -> None:
        self._app.close()
