"""Updates as Telegram writes them, one file each: what do they mean to us? Unknown fields and kinds are no trouble."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from bot.channels.telegram import buttons
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.updates import (
    Account,
    Chose,
    Event,
    Left,
    Pressed,
    Rated,
    Revised,
    Said,
    Showed,
    Stopped,
    read,
)
from care import texts
from care.age import AgeBand
from care.disclosure import Answer
from tests.builders import message as builder

RECORDINGS = Path(__file__).parents[2] / "recordings" / "telegram"
ACCOUNT = Account(id=4242, username="MindglmTestBot")


def recorded(name: str) -> dict[str, Any]:
    return dict(json.loads((RECORDINGS / f"{name}.json").read_text("utf-8")))


def events(update: dict[str, Any], *, groups: bool = True) -> list[Event]:
    return read(update, ACCOUNT, are_groups_served=groups)


def kinds(name: str, *, groups: bool = True) -> list[type]:
    return [type(event) for event in events(recorded(name), groups=groups)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("text", [Said]),
        ("text_emoji_rtl", [Said]),
        ("command_with_botname", [Said]),
        ("edited_text", [Revised]),
        ("edited_live_location", []),
        ("voice", [Showed]),
        ("photo_with_caption", [Said, Showed]),
        ("sticker", [Said]),
        ("contact", [Showed]),
        ("document", [Showed]),
        ("location", [Showed]),
        ("group_chatter", []),
        ("group_mention", [Said]),
        ("group_reply_to_bot", [Said]),
        ("group_command_for_another_bot", []),
        ("group_anonymous_admin", []),
        ("channel_post", []),
        ("business_message", []),
        ("from_a_bot", []),
        ("member_joined", []),
        ("rating", [Rated]),
        ("rating_of_something_else", [Pressed]),
        ("blocked", [Left]),
        ("unblocked", []),
        ("kind_of_the_future", []),
        ("stopped", [Stopped]),
    ],
)
def test_each_recorded_update_means_what_it_should(name: str, expected: list[type]) -> None:
    assert kinds(name) == expected


@pytest.mark.parametrize("name", ["group_mention", "group_reply_to_bot"])
def test_groups_are_not_served_unless_switched_on(name: str) -> None:
    assert kinds(name, groups=False) == []


def test_words_come_as_they_were_written_with_their_place_and_time() -> None:
    (event,) = events(recorded("text"))
    assert isinstance(event, Said)
    message = event.message
    assert message.text == "我最近总是睡不好"
    assert message.address == TelegramChat(chat_id=123456789).address()
    assert (message.account, message.user_id, message.external_id) == ("4242", "123456789", "123456789:17")
    assert message.sent_at.isoformat() == "2026-11-21T03:00:00+00:00"


def test_in_a_group_the_mention_is_no_part_of_the_words() -> None:
    (event,) = events(recorded("group_mention"))
    assert isinstance(event, Said)
    assert event.message.text == "我很累"
    assert event.message.address.chat_id == "-1001234567890/123456789"


def test_a_repeated_edit_has_the_same_id_and_another_edit_another() -> None:
    first = recorded("edited_text")
    second = {**first, "update_id": first["update_id"] + 1}
    ids = [
        event.message.external_id
        for update in (first, first, second)
        for event in events(update)
        if isinstance(event, Revised)
    ]
    assert ids[0] == ids[1] != ids[2]


def test_a_place_is_found_again_by_its_address() -> None:
    for place in (
        TelegramChat(chat_id=5),
        TelegramChat(chat_id=-5, user_id=6),
        TelegramChat(chat_id=-5, user_id=6, thread_id=7),
    ):
        assert TelegramChat.at(place.address()) == place


@pytest.mark.parametrize("keyboard", [buttons.rating(uuid4()), buttons.consent(texts.load("zh"))])
def test_a_button_carries_little_enough(keyboard: buttons.Keyboard) -> None:
    carried = [button["callback_data"] for row in keyboard["inline_keyboard"] for button in row]
    assert carried
    assert all(len(data.encode()) <= 64 for data in carried)


def test_a_button_under_the_notice_answers_for_whoever_presses_it() -> None:
    update = recorded("rating")
    update["callback_query"]["data"] = "consent:minor"
    (chosen,) = events(update)
    assert isinstance(chosen, Chose)
    assert chosen.answer == Answer(agrees=True, band=AgeBand.MINOR)
    assert chosen.message.user_id == "123456789"
    assert chosen.message.address.chat_id == "123456789"
    update["callback_query"]["message"]["chat"] = {"id": -100, "type": "supergroup", "title": "组"}
    (in_group,) = events(update)
    assert isinstance(in_group, Chose)
    assert in_group.message.address.chat_id == "-100/123456789"
    update["callback_query"]["data"] = "consent:whatever"
    (unknown,) = events(update)
    assert isinstance(unknown, Pressed)
    assert not unknown.is_known


def test_no_word_is_in_the_representation_of_an_event() -> None:
    (event,) = events(recorded("text"))
    assert "睡不好" not in repr(event)
    assert builder("秘密").text not in repr(builder("秘密"))
