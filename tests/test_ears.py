"""The listener of the other tests hears what it should."""

import base64
import json

import pytest
from redis import Redis

from dialogue.broker.signals import redis_url as in_redis_form
from tests.ears import Ears, chinese_in, leaks
from tests.patience import wait_until

SECRET = "月亮背面的秘密"


@pytest.mark.parametrize(
    "heard",
    [
        SECRET.encode(),
        json.dumps({"text": SECRET}).encode(),
        json.dumps(json.dumps(json.dumps([SECRET]))).encode(),
        repr(SECRET.encode()).encode(),
        base64.b64encode(f"[[{SECRET}]]".encode()),
        base64.b64encode(f"a{SECRET}b".encode()),
        base64.b64encode(json.dumps([f"x{SECRET}"], ensure_ascii=False).encode()),
    ],
)
def test_a_text_is_found_in_every_spelling(heard: bytes) -> None:
    assert leaks([SECRET, "别的什么话"], b"before " + heard + b" after") == [SECRET]


def test_chinese_in_a_log_is_found_escaped_or_not() -> None:
    assert chinese_in("event\n我\n" + json.dumps("我") + "\nmore") == ["我", json.dumps("我")]


def test_what_a_redis_is_given_is_heard_even_if_nothing_is_stored(redis_url: str) -> None:
    with Ears(redis_url) as ears, Redis.from_url(in_redis_form(redis_url)) as redis:
        redis.publish("nowhere", SECRET)
        wait_until(lambda: leaks([SECRET], ears.heard()) == [SECRET], 5)
