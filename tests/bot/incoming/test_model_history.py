"""What the model sees of a conversation in which we spoke ourselves."""

import pytest

from dialogue.window import window_of
from tests.bot.incoming.client import REPLY, Client
from tests.builders import Rooms

ACUTE = "我今晚就想结束自己"
ACTIVE = "我最近一直想自杀"


@pytest.fixture
def client(shared_rooms: Rooms) -> Client:
    return Client(shared_rooms, is_labelling=True)


def test_our_question_stands_before_the_reply_as_the_supporters_words(client: Client) -> None:
    asked = client.says(ACTIVE).words[0]
    client.says("有一点")
    exchange = client.prompts[-1].history[-1]
    assert exchange.text == ACTIVE
    assert exchange.reply == f"{asked}\n{REPLY}"


def test_what_was_answered_by_us_alone_stays_after_the_danger_has_eased(client: Client) -> None:
    client.says("我睡不着")
    first = client.says(ACUTE).words[0]
    second = client.says("室友在陪我").words[0]
    client.says("好多了")
    client.says("今天想聊聊学习")
    said = [(exchange.text, exchange.reply) for exchange in client.prompts[-1].history[1:]]
    assert said[0] == ("我睡不着", REPLY)
    assert said[1:3] == [(ACUTE, first), ("室友在陪我", second)]
    assert said[3][0] == "好多了"
    assert said[3][1].endswith(REPLY)


def test_the_gentle_question_behind_a_reply_is_seen_and_the_label_is_not(client: Client) -> None:
    client.says("活着没什么意思")
    client.says("今天还行")
    exchange = client.prompts[-1].history[-1]
    assert "12356" in exchange.reply
    assert client.texts.say("disclosure_label") not in exchange.reply


def test_words_to_a_turn_that_was_taken_back_are_seen_with_what_we_said(client: Client) -> None:
    heard = client.says_unanswered(ACTIVE).words[0]
    client.says("今晚", "室友在陪我", "好多了", "我想聊聊学习")
    history = client.prompts[-1].history[1:]
    assert (history[0].text, history[0].reply) == (ACTIVE, heard)


def test_a_conversation_without_danger_is_seen_as_ever(client: Client) -> None:
    client.says("你好呀", "今天天气不错", "吃了火锅")
    assert [exchange.reply for exchange in client.prompts[-1].history[1:]] == [REPLY, REPLY]


def test_the_window_keeps_the_first_exchange_and_the_last_ones(client: Client) -> None:
    client.says("我睡不着", ACUTE, "室友在陪我", "好多了", *[f"第{number}件小事" for number in range(9)])
    history = client.prompts[-1].history
    assert len(history) <= 12
    window = window_of(history, instruction="", max_length=200)
    assert window[0].text == "你好"
    assert window[-1].text == "第7件小事"
