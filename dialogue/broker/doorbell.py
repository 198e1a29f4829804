"""The Celery task that tells a worker to look for open turns. Sent after the commit; the sweep repeats lost ones.

A worker that looks claims all that is open. While a ring waits to be taken, a flag beside the queue says so and nobody
rings again. The flag ends by itself, so that one whose ring was lost silences others for a second at most.
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

RUNG = "mindglm:rung"
"""The flag: a ring waits in the queue."""
_RUNG_MILLISECONDS = 1000
"""Less than `dialogue.upkeep.lost_rings` waits before it rings for a turn again."""

_TIMEOUT_SECONDS = 1.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Doorbell:
    """Sends the task, and takes its flag away; thread-safe. Does nothing for a while after the broker failed."""

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
        try:
            if not self._raise_flag():
                return
        except (RedisError, OSError) as error:
            self._failed(conversation_id, error)
            return
        try:
            self._redis.lpush(QUEUE, task_message(REPLY_TASK, [str(conversation_id)], queue=QUEUE))
        except (RedisError, OSError) as error:
            self.taken()
            self._failed(conversation_id, error)

    def taken(self) -> None:
        """By a worker before it looks: whatever is rung for from now on needs a ring of its own."""
        try:
            self._redis.delete(RUNG)
        except RedisError as error:
            log.debug("ring_flag_kept", error=type(error).__name__)

    def close(self) -> None:
        self._redis.close()

    def _failed(self, conversation_id: UUID, error: Exception) -> None:
        self._rest.begin()
        log.warning("ring_failed", conversation_id=str(conversation_id), error=type(error).__name__)

    def _raise_flag(self) -> bool:
        """False if it is up. A broker that keeps no such key for us is rung each time."""
        try:
            return self._redis.set(RUNG, "1", nx=True, px=_RUNG_MILLISECONDS) is not None
        except NoPermissionError:
            return True
