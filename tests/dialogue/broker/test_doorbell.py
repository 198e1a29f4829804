"""One ring waits at a time, whoever rings."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from celery import Celery
from redis import Redis

from dialogue.broker.doorbell import QUEUE, REPLY_TASK, Doorbell
from dialogue.broker.signals import redis_url as in_redis_form
from dialogue.storage.ids import new_id
from tests.services.valkey import ValkeyServer


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
    redis.rpop(QUEUE)  # as a worker does
    other.ring([new_id()])
    assert redis.llen(QUEUE) == 1
    other.close()


def test_nobody_to_ring_for_rings_not(redis: Redis, bell: Doorbell) -> None:
    bell.ring([])
    assert redis.llen(QUEUE) == 0


def test_a_broker_that_runs_no_scripts_for_us_is_rung_each_time(valkey_server: ValkeyServer) -> None:
    redis: Any = Redis.from_url(in_redis_form(valkey_server.url))
    with closing(redis):
        redis.execute_command("ACL", "SETUSER", "default", "-eval")
        bell = Doorbell(valkey_server.url)
        bell.ring([new_id()])
        bell.ring([new_id()])
        assert redis.llen(QUEUE) == 2
        bell.close()


def test_after_a_ring_that_failed_nobody_is_rung_for_a_moment(redis: Redis, bell: Doorbell) -> None:
    redis.set(QUEUE, "this is no list")
    bell.ring([new_id()])
    redis.delete(QUEUE)
    bell.ring([new_id()])
    assert redis.llen(QUEUE) == 0


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
