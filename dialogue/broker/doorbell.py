"""The task that says "look": rung after a commit, by whoever found work. Lost rings are found by the sweep."""

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
"""What the ringing and the listening side must agree on."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def ringing_app(broker_url: str) -> Celery:
    """A Celery application that can only send; it gives up at once when the broker is away."""
    app = Celery("mindglm", broker=broker_url, set_as_current=False)
    app.conf.update(COMMON_CONFIGURATION)
    app.conf.broker_transport_options = COMMON_CONFIGURATION["broker_transport_options"] | {
        "socket_connect_timeout": _SECONDS_TO_CONNECT,
        "socket_timeout": _SECONDS_TO_CONNECT,
        "max_retries": 0,
    }
    return app


class Doorbell:
    """Rings for conversations by id; usable from any thread. While the broker is away it rests, and nobody waits."""

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
