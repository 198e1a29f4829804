"""One conversation is answered in order by one worker at a time; a reset acts at once; a stopping worker is kind."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.patience import wait_until
from tests.road.harness import Road, road
from tests.services.valkey import ValkeyServer


@pytest.fixture
def database_url(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


@pytest.fixture
def slow_road(tmp_path: Path, valkey_server: ValkeyServer, database_url: str) -> Iterator[Road]:
    """Each reply takes three seconds."""
    environment = {"MINDGLM_SCRIPTED_DELAY_SECONDS": "3"}
    with road(tmp_path / "road", broker_url=valkey_server.url, database_url=database_url, **environment) as opened:
        yield opened


def test_two_workers_answer_forty_people_once_each_and_in_order(
    tmp_path: Path, valkey_server: ValkeyServer, database_url: str
) -> None:
    environment = {"MINDGLM_SCRIPTED_DELAY_SECONDS": "0.05", "MINDGLM_SCRIPTED_REPLY": "[{text}]"}
    people = [f"人{number}" for number in range(40)]
    with road(tmp_path / "road", broker_url=valkey_server.url, database_url=database_url, **environment) as opened:
        opened.start_courier()
        first, second = opened.start_worker(), opened.start_worker()
        for number in range(5):
            for who in people:
                opened.say(f"{who}第{number}句", who=who)
        wait_until(lambda: all(_lines(opened, who) >= 5 for who in people), 60)
        wait_until(lambda: set(opened.states()) == {"answered"}, 10)
        for who in people:
            said = [line.strip("[]") for answer in opened.answers(who) for line in answer.splitlines()]
            assert said == [f"{who}第{number}句" for number in range(5)]
        for worker in (first, second):
            assert '"turn_answered"' in worker.log.read_text()


def test_ending_the_conversation_cancels_the_reply_at_once(slow_road: Road) -> None:
    slow_road.start_courier()
    worker = slow_road.start_worker()
    slow_road.say("我很难过")
    wait_until(lambda: slow_road.states() == ["generating"], 10)
    slow_road.say("结束对话")
    (goodbye,) = slow_road.wait_for_answers(1)
    assert "好的" in goodbye
    wait_until(lambda: "generation_cancelled" in worker.log.read_text(), 2)
    slow_road.say("我又来了")
    assert slow_road.wait_for_answers(2) == [goodbye, "收到：我又来了"]
    assert slow_road.states() == ["discarded", "answered"]


def test_a_stopping_worker_finishes_what_it_began_and_takes_nothing_new(slow_road: Road) -> None:
    slow_road.start_courier()
    worker = slow_road.start_worker()
    slow_road.say("一", who="小王")
    wait_until(lambda: slow_road.states() == ["generating"], 10)
    worker.terminate()
    wait_until(lambda: "Warm shutdown" in worker.log.read_text(), 10)
    slow_road.say("二", who="小李")
    assert worker.wait() == 0
    assert slow_road.wait_for_answers(1) == ["收到：一"]
    assert slow_road.states() == ["answered", "waiting"]
    slow_road.start_worker()
    assert slow_road.wait_for_answers(1, who="小李") == ["收到：二"]


def test_a_worker_out_of_time_gives_the_turn_back_for_another_at_once(slow_road: Road) -> None:
    slow_road.start_courier()
    worker = slow_road.start_worker(MINDGLM_SHUTDOWN_SECONDS="0.2")
    slow_road.start_worker()
    slow_road.say("一")
    wait_until(lambda: slow_road.states() == ["generating"], 10)
    worker.terminate()
    worker.wait()
    assert slow_road.wait_for_answers(1, seconds=10) == ["收到：一"]
    slow_road.say("二")
    assert slow_road.wait_for_answers(2) == ["收到：一", "收到：二"]


def test_a_reply_that_breaks_is_tried_again_and_at_last_apologised_for(
    tmp_path: Path, valkey_server: ValkeyServer, database_url: str
) -> None:
    environment = {"MINDGLM_SCRIPTED_FAIL_EVERY": "1"}
    with road(tmp_path / "road", broker_url=valkey_server.url, database_url=database_url, **environment) as opened:
        opened.start_courier()
        opened.start_worker()
        opened.say("在吗")
        (apology,) = opened.wait_for_answers(1, seconds=15)
        assert "对不起" in apology
        assert opened.states() == ["failed"]


def _lines(opened: Road, who: str) -> int:
    return sum(len(answer.splitlines()) for answer in opened.answers(who))
