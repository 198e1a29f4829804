"""The emergency contact is offered once, kindly, when the danger has eased."""

import pytest

from tests.bot.incoming.client import Client
from tests.builders import Rooms

ACUTE = "我今晚就想结束自己"
RELIEF = ("室友在陪我", "好多了", "没有那个念头了")
OFFER = "紧急联系人"


@pytest.fixture
def client(shared_rooms: Rooms) -> Client:
    return Client(shared_rooms)


def test_it_is_offered_once_after_an_acute_course_has_eased(client: Client) -> None:
    said = [client.says(text).ours for text in (ACUTE, *RELIEF)]
    assert [OFFER in words for words in said] == [False, False, False, True]
    again = [client.says(text).ours for text in (ACUTE, *RELIEF)]
    assert not any(OFFER in words for words in again)


def test_it_is_offered_when_time_has_eased_it(client: Client) -> None:
    client.says(ACUTE)
    said = []
    for _ in range(40):
        client.waits(150)
        said.append(client.says("今天去公园散步了").ours)
    assert sum(OFFER in words for words in said) == 1


def test_whoever_named_one_is_not_asked_again(client: Client) -> None:
    client.says("/contact 姐姐 13800000000")
    heard = [client.says(text) for text in (ACUTE, *RELIEF)]
    assert not any(OFFER in one.ours for one in heard)
    assert heard[-1].has_reply
