"""Redis pub/sub between bot and worker: hints that save waiting. Ids and sealed bytes only; losing one is harmless.

A process also wakes its own couriers directly, so that crisis words never wait for Redis.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from dialogue.broker.circuit_breaker import CircuitBreaker
from dialogue.broker.write_probe import check_writable

CANCEL = "mindglm:cancel"
"""Carries a turn's id whose generation is to stop."""

PARTIAL_COLUMN = "turns.partial"
"""The column name that a partial reply is sealed with; partial replies are never stored."""

_UUID_BYTES = 16
_TIMEOUT_SECONDS = 1.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def owed(channel: str) -> str:
    """The topic that wakes a channel's couriers."""
    return f"mindglm:owed:{channel}"


def partial(channel: str) -> str:
    """The topic of a channel's partial replies."""
    return f"mindglm:partial:{channel}"


def redis_url(broker_url: str) -> str:
    """The broker's URL as redis-py spells it: Celery writes a unix socket as ``redis+socket:///path``."""
    return broker_url.replace("redis+socket://", "unix://", 1)


class Signals:
    """Publishes hints; while Redis is down they are dropped at once, so that callers never wait."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._rest = CircuitBreaker()
        self._nearby: list[tuple[str, Callable[[], object]]] = []
        self._fetching: list[tuple[str, Callable[[], object]]] = []

    @classmethod
    def connect(cls, broker_url: str) -> "Signals":
        """Nothing is opened before the first hint."""
        return cls(
            Redis.from_url(
                redis_url(broker_url),
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 1),
            )
        )

    def check(self) -> None:
        """Raises `BrokerUnavailable` unless Redis answers and takes writes."""
        check_writable(self._redis)

    @contextmanager
    def heard_nearby(self, channel: str, on_owed: Callable[[], object]) -> Iterator[None]:
        """Registers a courier of this process: `on_owed` is called from whichever thread stores a delivery."""
        courier = (channel, on_owed)
        self._nearby.append(courier)
        try:
            yield
        finally:
            self._nearby.remove(courier)

    @contextmanager
    def wanted_nearby(self, channel: str, on_wanted: Callable[[], object]) -> Iterator[None]:
        """The same for whoever fetches pictures and voice: they come to the process that shall fetch them."""
        fetcher = (channel, on_wanted)
        self._fetching.append(fetcher)
        try:
            yield
        finally:
            self._fetching.remove(fetcher)

    def want(self, channels: Iterable[str]) -> None:
        """Wake whoever fetches on these channels, in this process; the others look by themselves."""
        for channel in channels:
            for where, wake in list(self._fetching):
                if where == channel:
                    wake()

    def owe(self, channels: Iterable[str]) -> None:
        """Wake the couriers of these channels, the one in this process first."""
        self.tell(owed_channels=channels)

    def cancel(self, turn_ids: Iterable[UUID]) -> None:
        """Tell every worker to stop generating these turns."""
        self.tell(cancelled_turn_ids=turn_ids)

    def tell(self, *, owed_channels: Iterable[str] = (), cancelled_turn_ids: Iterable[UUID] = ()) -> None:
        """Both, in one round trip."""
        told = []
        for channel in owed_channels:
            for where, wake in list(self._nearby):
                if where == channel:
                    wake()
            told.append((owed(channel), b""))
        self._publish(*told, *((CANCEL, turn_id.bytes) for turn_id in cancelled_turn_ids))

    def show(self, channel: str, turn_id: UUID, sealed: bytes) -> None:
        """The reply so far, sealed by its person's key."""
        self._publish((partial(channel), turn_id.bytes + sealed))

    def close(self) -> None:
        self._redis.close()

    def _publish(self, *hints: tuple[str, bytes]) -> None:
        if not hints or self._rest.is_on:
            return
        try:
            self._send(hints)
        except RedisError as error:
            self._rest.begin()
            log.debug("signal_lost", topics=[topic for topic, _ in hints], error=type(error).__name__)

    def _send(self, hints: Sequence[tuple[str, bytes]]) -> None:
        if len(hints) == 1:
            self._redis.publish(*hints[0])
            return
        with self._redis.pipeline(transaction=False) as pipeline:
            for topic, payload in hints:
                pipeline.publish(topic, payload)
            pipeline.execute()


def read_partial(payload: bytes) -> tuple[UUID, bytes]:
    """What `Signals.show` published: the turn's id and the sealed reply so far."""
    return UUID(bytes=payload[:_UUID_BYTES]), payload[_UUID_BYTES:]
