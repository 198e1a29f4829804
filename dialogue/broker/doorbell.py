"""The Celery task that tells a worker to look for open turns. Sent after the commit; the sweep repeats lost ones.

A worker that looks claims all that is open. While a ring waits in the queue nobody rings again: whoever takes it looks
later than now.
"""

from collections.abc import Iterable
from uuid import UUID

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisError
from redis.retry import Retry

from dialogue.broker.circuit_breaker import CircuitBreaker
from dialogue.broker.signals import redis_url
from dialogue.broker.task_message import task_message

REPLY_TASK = "reply"
QUEUE = "mindglm"

_RING = "if redis.call('LLEN', KEYS[1]) == 0 then redis.call('LPUSH', KEYS[1], ARGV[1]) end"
"""One round trip, in a transaction's thread that somebody waits for."""

_TIMEOUT_SECONDS = 1.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Doorbell:
    """Sends the task; thread-safe. Does nothing for a while after the broker failed."""

    def __init__(self, broker_url: str) -> None:
        self._rest = CircuitBreaker()
        self._redis = Redis.from_url(
            redis_url(broker_url),
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),
        )

    def ring(self, conversation_ids: Iterable[UUID]) -> None:
        """Once for all of them, unless a ring waits already. Best effort: the sweep rings again for lost ones."""
        conversation_id = next(iter(conversation_ids), None)
        if conversation_id is None or self._rest.is_on:
            return
        message = task_message(REPLY_TASK, [str(conversation_id)], queue=QUEUE)
        try:
            self._send(message)
        except (RedisError, OSError) as error:
            self._rest.begin()
            log.warning("ring_failed", conversation_id=str(conversation_id), error=type(error).__name__)

    def close(self) -> None:
        self._redis.close()

    def _send(self, message: str) -> None:
        """A broker that runs no scripts for us is rung each time."""
        try:
            self._redis.eval(_RING, 1, QUEUE, message)
        except NoPermissionError:
            self._redis.lpush(QUEUE, message)
