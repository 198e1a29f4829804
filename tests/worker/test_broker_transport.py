"""What a worker has in hand is written down nowhere, and goes back when it stops."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from kombu.entity import Queue
from kombu.transport import TRANSPORT_ALIASES
from redis import Redis

from dialogue.broker.doorbell import QUEUE, Doorbell
from dialogue.broker.signals import redis_url as in_redis_form
from dialogue.storage.ids import new_id
from worker import broker_transport


@pytest.fixture
def channel(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Of a worker's connection; kombu has no types."""
    for scheme in ("redis", "rediss"):
        monkeypatch.setitem(TRANSPORT_ALIASES, scheme, "")
    monkeypatch.setattr("kombu.transport._transport_cache", {})
    broker_transport.install()
    with Celery(broker=redis_url, set_as_current=False) as app, app.connection() as connection:
        yield connection.channel()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(in_redis_form(redis_url)) as opened:
        bell = Doorbell(redis_url)
        bell.ring([new_id()])
        bell.close()
        yield opened


def take(channel: Any) -> Any:
    queue: Any = Queue
    taken = queue(QUEUE, channel=channel).get()
    assert taken is not None
    return taken


def test_a_ring_in_hand_is_written_down_nowhere_and_fills_the_hand(channel: Any, redis: Redis) -> None:
    channel.basic_qos(0, 1, False)
    taken = take(channel)
    assert not channel.qos.can_consume()
    assert not redis.exists("unacked", "unacked_index")
    taken.ack()
    assert channel.qos.can_consume()
    channel.close()
    assert redis.llen(QUEUE) == 0


def test_a_worker_that_stops_leaves_the_ring_in_its_hand_to_the_others(channel: Any, redis: Redis) -> None:
    take(channel)
    assert redis.llen(QUEUE) == 0
    channel.close()
    assert redis.llen(QUEUE) == 1


def test_a_ring_that_is_put_back_is_the_next(channel: Any, redis: Redis) -> None:
    taken = take(channel)
    taken.requeue()
    assert redis.llen(QUEUE) == 1
    again = take(channel)
    assert again.headers["id"] == taken.headers["id"]
    again.ack()
    channel.close()
