"""One ring waits at a time; whoever dies beside the flag silences others for a second at most."""

from collections.abc import Iterator

import pytest
from redis import Redis

from dialogue.broker.doorbell import QUEUE, RUNG, Doorbell, ringing_app
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
    opened = Doorbell(ringing_app(redis_url))
    yield opened
    opened.close()


def test_a_ring_that_nobody_took_yet_is_not_rung_again(redis: Redis, bell: Doorbell, redis_url: str) -> None:
    other = Doorbell(ringing_app(redis_url))
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
    bell._app, app = ringing_app("redis+socket:///nobody.sock"), bell._app
    bell.ring([new_id()])
    bell._app.close()
    bell._app = app
    assert not redis.exists(RUNG)
