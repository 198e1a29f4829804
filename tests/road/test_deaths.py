"""Who dies when: nothing is lost, nothing is said twice. Real workers, a real broker, a real database."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import select

from dialogue.broker.doorbell import QUEUE
from dialogue.broker.signals import redis_url as in_redis_form
from dialogue.storage.clock import utc_now
from dialogue.tables import Turn
from tests.patience import wait_until
from tests.road.harness import Road, road
from tests.services.postgres import PostgresServer
from tests.services.valkey import ValkeyServer

LEASE_SECONDS = 6


@pytest.fixture
def slow_road(tmp_path: Path, valkey_server: ValkeyServer) -> Iterator[Road]:
    """Each reply takes two seconds."""
    environment = {"MINDGLM_SCRIPTED_DELAY_SECONDS": "2", "MINDGLM_LEASE_SECONDS": str(LEASE_SECONDS)}
    with road(tmp_path / "road", broker_url=valkey_server.url, **environment) as opened:
        yield opened


@pytest.fixture
def quick_road(tmp_path: Path, valkey_server: ValkeyServer, postgres_database: Callable[[], str]) -> Iterator[Road]:
    with road(tmp_path / "road", broker_url=valkey_server.url, database_url=postgres_database()) as opened:
        yield opened


def test_a_worker_killed_while_it_generates_is_replaced_and_the_person_answered_once(slow_road: Road) -> None:
    slow_road.start_courier()
    worker = slow_road.start_worker()
    slow_road.say("我睡不着")
    wait_until(lambda: slow_road.states() == ["generating"], 10)
    worker.kill()
    killed_at = utc_now()
    slow_road.say("你还在吗")
    slow_road.start_worker()
    answers = slow_road.wait_for_answers(2, seconds=2 * LEASE_SECONDS)
    with slow_road.services.database.read() as session:
        claimed_again_at = session.scalars(select(Turn.claimed_at).order_by(Turn.id)).first()
    assert claimed_again_at is not None
    assert claimed_again_at - killed_at <= timedelta(seconds=2 * LEASE_SECONDS)
    assert answers == ["收到：我睡不着", "收到：你还在吗"]
    slow_road.say("谢谢")
    assert slow_road.wait_for_answers(3) == [*answers, "收到：谢谢"]


def test_a_flushed_broker_loses_nobody(quick_road: Road) -> None:
    quick_road.start_courier()
    for number in range(20):
        quick_road.say("在吗", who=f"人{number}")
    with Redis.from_url(in_redis_form(quick_road.services.broker_url)) as redis:
        redis.flushall()
    quick_road.start_worker()
    for number in range(20):
        assert quick_road.wait_for_answers(1, who=f"人{number}", seconds=40) == ["收到：在吗"]


def test_with_the_broker_away_the_worker_finds_by_itself_what_was_said(
    quick_road: Road, valkey_server: ValkeyServer
) -> None:
    quick_road.start_courier()
    quick_road.start_worker()
    valkey_server.kill()
    for number in range(10):  # the sweep of the channel's process finds some of them first, and rings to nobody
        quick_road.say("在吗", who=f"人{number}")
    for number in range(10):
        assert quick_road.wait_for_answers(1, who=f"人{number}", seconds=12) == ["收到：在吗"]


def test_a_broker_that_stays_away_for_a_while_loses_nobody(quick_road: Road, valkey_server: ValkeyServer) -> None:
    quick_road.start_courier()
    worker = quick_road.start_worker()
    quick_road.say("之前")
    quick_road.wait_for_answers(1)
    valkey_server.kill()
    for number in range(5):
        quick_road.say("断线时", who=f"人{number}")
    wait_until(lambda: worker.log.read_text().count("Cannot connect") >= 2)
    valkey_server.start()
    for number in range(5):
        assert quick_road.wait_for_answers(1, who=f"人{number}", seconds=12) == ["收到：断线时"]
    quick_road.say("之后")
    assert quick_road.wait_for_answers(2, seconds=12) == ["收到：之前", "收到：之后"]


def test_a_broker_that_dies_while_a_reply_is_generated_does_not_end_the_worker(
    slow_road: Road, valkey_server: ValkeyServer
) -> None:
    slow_road.start_courier()
    worker = slow_road.start_worker()
    slow_road.say("我睡不着")
    wait_until(lambda: slow_road.states() == ["generating"], 10)
    valkey_server.kill()
    valkey_server.start()
    assert slow_road.wait_for_answers(1, seconds=12) == ["收到：我睡不着"]
    slow_road.say("谢谢")
    assert slow_road.wait_for_answers(2, seconds=12) == ["收到：我睡不着", "收到：谢谢"]
    assert worker.process.poll() is None


def test_a_worker_without_its_broker_stops_when_it_is_told_to(quick_road: Road, valkey_server: ValkeyServer) -> None:
    worker = quick_road.start_worker()
    valkey_server.kill()
    wait_until(lambda: "Cannot connect" in worker.log.read_text())
    worker.terminate()
    assert worker.wait(10) == 0


def test_a_worker_that_dies_between_answer_and_delivery_owes_nothing_twice(quick_road: Road) -> None:
    worker = quick_road.start_worker()
    quick_road.say("在吗")
    wait_until(lambda: quick_road.states() == ["answered"], 10)
    worker.kill()
    quick_road.start_courier()
    assert quick_road.wait_for_answers(1) == ["收到：在吗"]
    quick_road.start_worker()
    quick_road.say("还在吗")
    assert quick_road.wait_for_answers(2) == ["收到：在吗", "收到：还在吗"]


def test_a_lost_doorbell_is_made_good_by_the_sweep(quick_road: Road) -> None:
    quick_road.start_courier()
    quick_road.start_worker()
    bell = quick_road.services.doorbell
    with Redis(unix_socket_path=str(quick_road.home / "nobody.sock")) as nobody:
        bell._redis, redis = nobody, bell._redis
        quick_road.say("没人按铃")
        bell._redis = redis
    assert quick_road.wait_for_answers(1, seconds=6) == ["收到：没人按铃"]


def test_many_turns_that_opened_together_are_answered_by_one_ring(quick_road: Road) -> None:
    quick_road.start_courier()
    for number in range(20):
        quick_road.say("在吗", who=f"人{number}")
    with Redis.from_url(in_redis_form(quick_road.services.broker_url)) as redis:
        assert redis.llen(QUEUE) == 1
    quick_road.start_worker()
    for number in range(20):
        assert quick_road.wait_for_answers(1, who=f"人{number}", seconds=12) == ["收到：在吗"]


def test_a_database_that_restarts_loses_nobody(
    tmp_path: Path, valkey_server: ValkeyServer, postgres_server: PostgresServer
) -> None:
    with road(
        tmp_path / "road",
        broker_url=valkey_server.url,
        database_url=postgres_server.url(),
        MINDGLM_SCRIPTED_DELAY_SECONDS="2",
    ) as opened:
        opened.start_courier()
        opened.start_worker()
        opened.say("之前")
        wait_until(lambda: opened.states() == ["generating"], 10)
        postgres_server.kill()
        time.sleep(3)
        postgres_server.start()
        assert opened.wait_for_answers(1, seconds=40) == ["收到：之前"]
        opened.say("之后")
        assert opened.wait_for_answers(2, seconds=40) == ["收到：之前", "收到：之后"]


def test_a_broker_that_refuses_writes_is_treated_like_one_that_is_away(
    quick_road: Road, valkey_server: ValkeyServer
) -> None:
    """At the start of a worker and while it runs: people are answered from the database meanwhile."""
    quick_road.start_courier()
    with Redis.from_url(in_redis_form(valkey_server.url)) as redis:
        redis.replicaof("127.0.0.1", "1")
        worker = quick_road.start_worker()
        quick_road.say("在吗")
        assert quick_road.wait_for_answers(1, seconds=30) == ["收到：在吗"]
        wait_until(lambda: "broker_refuses_writes" in worker.log.read_text(), 30)
        redis.replicaof("NO", "ONE")
        wait_until(lambda: "broker_takes_writes" in worker.log.read_text(), 30)
        redis.config_set("min-replicas-to-write", 1)
        quick_road.say("还在吗")
        assert quick_road.wait_for_answers(2, seconds=30) == ["收到：在吗", "收到：还在吗"]
        wait_until(lambda: worker.log.read_text().count("broker_refuses_writes") == 2, 30)
        redis.config_set("min-replicas-to-write", 0)
        quick_road.say("现在呢")
        assert quick_road.wait_for_answers(3, seconds=30)[2] == "收到：现在呢"
        assert worker.process.poll() is None
        worker.terminate()
        assert worker.wait() == 0


@pytest.mark.parametrize(
    ("breaks", "mends"),
    [
        (  # MASTERDOWN, to reads too
            [("CONFIG", "SET", "replica-serve-stale-data", "no"), ("REPLICAOF", "127.0.0.1", "1")],
            [("REPLICAOF", "NO", "ONE")],
        ),
        (  # NOAUTH, as after a restart with another configuration
            [("CONFIG", "SET", "requirepass", "x"), ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")],
            [("CONFIG", "SET", "requirepass", "")],
        ),
        ([("CONFIG", "SET", "maxmemory", "1")], [("CONFIG", "SET", "maxmemory", "0")]),  # OOM
        (  # NOPERM, to everything that the queue needs
            [
                ("ACL", "SETUSER", "default", "-@all", "+auth", "+config", "+acl", "+client"),
                ("CLIENT", "KILL", "TYPE", "normal"),
            ],
            [("ACL", "SETUSER", "default", "+@all")],
        ),
    ],
    ids=["MASTERDOWN", "NOAUTH", "OOM", "NOPERM"],
)
def test_a_broker_that_refuses_in_any_other_way_ends_no_worker_either(
    quick_road: Road,
    valkey_server: ValkeyServer,
    breaks: list[tuple[str, ...]],
    mends: list[tuple[str, ...]],
) -> None:
    quick_road.start_courier()
    with Redis.from_url(in_redis_form(valkey_server.url)) as redis:
        worker = quick_road.start_worker()
        for command in breaks:
            redis.execute_command(*command)
        quick_road.say("在吗")
        assert quick_road.wait_for_answers(1, seconds=30) == ["收到：在吗"]
        other = quick_road.start_worker()
        quick_road.say("还在吗")
        assert quick_road.wait_for_answers(2, seconds=30)[1] == "收到：还在吗"
        for command in mends:
            redis.execute_command(*command)
        quick_road.say("现在呢")
        assert quick_road.wait_for_answers(3, seconds=30)[2] == "收到：现在呢"
        for one in (worker, other):
            assert one.process.poll() is None, one.log.read_text()[-3000:]
            one.terminate()
            assert one.wait() == 0
