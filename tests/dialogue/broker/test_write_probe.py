"""A broker that answers and keeps nothing is no broker."""

from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from dialogue.broker.signals import redis_url
from dialogue.broker.write_probe import BrokerUnavailable, check_writable
from tests.services.valkey import ValkeyServer


@pytest.fixture
def redis(valkey_server: ValkeyServer) -> Iterator[Redis]:
    with Redis.from_url(redis_url(valkey_server.url)) as connected:
        yield connected


def become_a_replica(redis: Redis) -> None:
    redis.replicaof("127.0.0.1", "1")


def lose_all_replicas(redis: Redis) -> None:
    redis.config_set("min-replicas-to-write", 1)


def run_full(redis: Redis) -> None:
    redis.config_set("maxmemory", 1)


@pytest.mark.parametrize(
    ("breaks", "reason"), [(become_a_replica, "ReadOnly"), (lose_all_replicas, "NOREPLICAS"), (run_full, "OutOfMemory")]
)
def test_a_broker_that_refuses_writes_is_unavailable(
    redis: Redis, breaks: Callable[[Redis], None], reason: str
) -> None:
    check_writable(redis)
    breaks(redis)
    with pytest.raises(BrokerUnavailable, match=f"refuses writes .{reason}"):
        check_writable(redis)


def test_a_broker_that_is_away_is_unavailable(redis: Redis, valkey_server: ValkeyServer) -> None:
    valkey_server.stop()
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        check_writable(redis)
