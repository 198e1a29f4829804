"""The real counterpart: wechaty-puppet-service with wechaty-puppet-mock, through our own gateway on node."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bot.wechat.ward import GATEWAY, Ward
from tests.patience import wait_until
from tests.services import node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]


@pytest.fixture(scope="module", autouse=True)
def _gateway() -> None:
    node.install(GATEWAY)


@pytest.fixture
def ward(tmp_path: Path, redis_url: str, postgres_database: Callable[[], str]) -> Iterator[Ward]:
    opened = Ward(tmp_path / "ward", broker_url=redis_url, MINDGLM_DATABASE_URL=postgres_database())
    yield opened
    opened.close()


def people(count: int) -> list[str]:
    return [f"wxid_{number:03}" for number in range(count)]


def test_two_hundred_people_with_five_messages_each_are_all_answered_once_and_in_order(ward: Ward) -> None:
    ward.open()
    for number in range(5):
        for who in people(200):
            ward.say(f"{who} {number}", who=who)
    wait_until(lambda: ward.stored_count() == 1000 and ward.is_quiet(), 90)
    assert ward.echoes() == {who: [f"{who} {number}" for number in range(5)] for who in people(200)}


def test_two_thousand_messages_survive_two_deaths_of_the_bot_and_one_of_the_gateway(ward: Ward) -> None:
    ward.open()
    said = 0

    def say_round(number: int) -> None:
        nonlocal said
        for who in people(200):
            ward.say(f"{who} {number}", who=who)
            said += 1

    say_round(0)
    say_round(1)
    ward.adapter.kill()  # in mid-stream
    say_round(2)
    ward.adapter.start()
    say_round(3)
    say_round(4)
    ward.adapter.kill()
    say_round(5)  # nobody listens: all of it is the gateway's alone
    ward.wait_spooled()
    ward.gateway.kill()
    ward.gateway.start()
    say_round(6)
    ward.adapter.start()
    for number in (7, 8, 9):
        say_round(number)
    wait_until(lambda: ward.stored_count() >= said and ward.is_quiet(), 120)
    assert ward.stored_count() == said == 2000
    assert ward.echoes() == {who: [f"{who} {number}" for number in range(10)] for who in people(200)}


def test_a_gateway_that_dies_after_it_sent_says_nothing_twice(ward: Ward) -> None:
    ward.gateway.environment["REHEARSAL_DIES_AT"] = "[在吗]"
    ward.open()
    ward.say("在吗", who="wxid_wang")
    wait_until(lambda: not ward.gateway.is_running, 20)
    del ward.gateway.environment["REHEARSAL_DIES_AT"]
    ward.gateway.start()
    wait_until(lambda: ward.fates() == [("failed", "unknown")], 30)
    ward.say("还在吗", who="wxid_wang")
    wait_until(lambda: ward.fates()[1:] == [("sent", None)], 30)
    assert ward.answers() == {"wxid_wang": ["[在吗]", "[还在吗]"]}


def test_a_wrong_token_ends_the_adapter_and_a_second_bot_is_told_that_it_is_one(ward: Ward) -> None:
    ward.open()
    stranger = ward.another_adapter("stranger", MINDGLM_WECHAT_TOKEN="another-token-altogether")
    stranger.start()
    wait_until(lambda: not stranger.is_running, 30)
    assert "MINDGLM_WECHAT_TOKEN" in stranger.log()
    second = ward.another_adapter("second")
    second.start()
    wait_until(lambda: "wechat_stream_taken" in second.log(), 30)
    ward.say("在吗", who="wxid_wang")
    wait_until(lambda: ward.fates() == [("sent", None)], 30)
    ward.adapter.kill()
    ward.say("还在吗", who="wxid_wang")
    wait_until(lambda: ward.answers() == {"wxid_wang": ["[在吗]", "[还在吗]"]}, 60)
    second.kill()


def test_a_friend_request_survives_the_bots_absence_and_the_gateways_death(ward: Ward) -> None:
    ward.adapter.environment["MINDGLM_WECHAT_ACCEPTS_FRIENDS"] = "1"
    ward.open()
    ward.adapter.kill()
    ward.befriend("wxid_new")
    ward.wait_spooled()
    ward.gateway.kill()
    ward.gateway.start()
    ward.adapter.start()
    wait_until(lambda: len(ward.answers()["wxid_new"]) == 2, 30)
    accepted, opening = ward.answers()["wxid_new"]
    assert accepted == "accepted"
    assert "不是真人" in opening
    ward.adapter.kill()
    ward.adapter.start()
    ward.adapter.wait_ready()
    ward.say("在吗", who="wxid_new")  # the gateway repeats what is not settled before it tells of anything new
    wait_until(lambda: "[在吗]" in ward.answers()["wxid_new"], 30)
    assert ward.answers()["wxid_new"] == [accepted, opening, "[在吗]"]


def test_a_room_and_a_stop(ward: Ward) -> None:
    ward.adapter.environment["MINDGLM_WECHAT_ROOMS"] = "1"
    ward.open()
    ward.say("大家好", who="wxid_wang", room="1@chatroom")
    ward.say("在吗", who="wxid_wang", room="1@chatroom", mention=True)
    wait_until(lambda: "1@chatroom" in ward.answers(), 30)
    assert ward.answers()["1@chatroom"] == ["@name of wxid_wang\u2005[在吗]"]
    assert ward.adapter.terminate() == 0
    assert ward.gateway.terminate() == 0
    spool = b"".join(file.read_bytes() for file in (ward.home / "spool").iterdir())
    for words in ("在吗", "大家好"):
        assert words not in ward.gateway.log() + ward.adapter.log()
        assert words.encode() not in spool


def test_the_gateways_own_tests_pass() -> None:
    done = subprocess.run(["node", "--test", "test/"], cwd=GATEWAY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
