"""The real counterpart: wechaty-puppet-service with wechaty-puppet-mock, through our own gateway on node."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bot.wechat.ward import GATEWAY, Process, Ward, install_gateway
from tests.road.harness import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]


@pytest.fixture(scope="module", autouse=True)
def _gateway() -> None:
    install_gateway()


@pytest.fixture
def ward(tmp_path: Path, redis_url: str, postgres_database: Callable[[], str]) -> Iterator[Ward]:
    opened = Ward(tmp_path / "ward", broker_url=redis_url, MINDGLM_DATABASE_URL=postgres_database())
    yield opened
    opened.close()


def people(count: int) -> list[str]:
    return [f"wxid_{number:03}" for number in range(count)]


def test_two_hundred_people_with_five_messages_each_are_all_answered_once_and_in_order(ward: Ward) -> None:
    ward.open()
    began_at = time.monotonic()
    for number in range(5):
        for who in people(200):
            ward.say(f"{who} {number}", who=who)
    said_at = time.monotonic()
    wait_until(lambda: ward.stored_count() == 1000 and ward.is_quiet(), 90)
    print(f"said in {said_at - began_at:.1f} s, all answered after {time.monotonic() - began_at:.1f} s")
    assert ward.echoes() == {who: [f"{who} {number}" for number in range(5)] for who in people(200)}


def test_two_thousand_messages_survive_two_deaths_of_the_bot_and_one_of_the_gateway(ward: Ward) -> None:
    ward.open()
    said = 0

    def say_round(number: int) -> None:
        nonlocal said
        for who in people(200):
            ward.say(f"{who} {number}", who=who)
            said += 1

    began_at = time.monotonic()
    say_round(0)
    say_round(1)
    ward.adapter.kill()  # in mid-stream
    say_round(2)
    ward.adapter.start()
    say_round(3)
    say_round(4)
    ward.adapter.kill()
    say_round(5)  # nobody listens: all of it is the gateway's alone
    time.sleep(1)
    ward.gateway.kill()
    ward.gateway.start()
    say_round(6)
    ward.adapter.start()
    for number in (7, 8, 9):
        say_round(number)
    wait_until(lambda: ward.stored_count() >= said and ward.is_quiet(), 120)
    print(f"{said} messages in {time.monotonic() - began_at:.1f} s")
    assert ward.stored_count() == said == 2000
    assert ward.echoes() == {who: [f"{who} {number}" for number in range(10)] for who in people(200)}
