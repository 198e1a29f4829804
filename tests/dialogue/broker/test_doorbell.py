"""One ring waits at a time; whoever dies beside the flag silences others for a second at most."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from celery import Celery
from redis import Redis

from dialogue.broker.doorbell import QUEUE, REPLY_TASK, RUNG, Doorbell
from dialogue.broker.signals import redis_url as in_redis_form
from dialogue.storage.ids import new_id
from tests.patience import wait_until


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(in_redis_form(redis_url)) as opened:
        opened.flushdb()
        yield opened


@pytest.fixture
def bell(redis_url: str) -> Iterator[Doorbell]:
    opened = Doorbell(redis_url)
    yield opened
    opened.close()


def test_a_ring_that_nobody_took_yet_is_not_rung_again(redis: Redis, bell: Doorbell, redis_url: str) -> None:
    other = Doorbell(redis_url)
    bell.ring([new_id(), new_id()])
    bell.ring([new_id()])
    other.ring([new_id()])
    assert redis.llen(QUEUE) == 1
    bell.taken()
    other.ring([new_id()])
    assert redis.llen(QUEUE) == 2
    other.close()


def test_the_flag_of_who_died_before_the_ring_ends_by_itself(redis: Redis, bell: Doorbell) -> None:
    redis.set(RUNG, "1", px=1000)
    bell.ring([new_id()])
    assert redis.llen(QUEUE) == 0
    wait_until(lambda: not redis.exists(RUNG), 5)
    bell.ring([new_id()])
    assert redis.llen(QUEUE) == 1
    assert 0 < redis.pttl(RUNG) <= 1000


def test_nobody_to_ring_for_rings_not(redis: Redis, bell: Doorbell) -> None:
    bell.ring([])
    assert redis.llen(QUEUE) == 0
    assert not redis.exists(RUNG)


def test_a_ring_that_failed_leaves_no_flag_behind(redis: Redis, bell: Doorbell) -> None:
    redis.set(QUEUE, "this is no list")
    bell.ring([new_id()])
    assert not redis.exists(RUNG)


def test_a_ring_is_the_task_that_celery_would_send(redis: Redis, bell: Doorbell, redis_url: str) -> None:
    conversation_id = new_id()
    bell.ring([conversation_id])
    with Celery(broker=redis_url, set_as_current=False) as app:
        app.send_task(REPLY_TASK, args=[str(conversation_id)], queue=QUEUE, ignore_result=True)
    ours, celerys = (_without_what_is_new_each_time(json.loads(rung)) for rung in reversed(redis.lrange(QUEUE, 0, -1)))
    assert ours == celerys


def _without_what_is_new_each_time(message: dict[str, Any]) -> dict[str, Any]:
    headers, properties = message["headers"], message["properties"]
    assert headers["id"] == headers["root_id"] == properties["correlation_id"]
    assert UUID(headers["id"]) != UUID(properties["delivery_tag"])
    for part, names in ((headers, ("id", "root_id")), (properties, ("correlation_id", "delivery_tag", "reply_to"))):
        for name in names:
            del part[name]
    return message | {"body": json.loads(base64.b64decode(message["body"]))}
