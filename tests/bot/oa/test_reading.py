"""What is pushed, as values: words, things that are no words, and events."""

import hashlib
from datetime import UTC, datetime

import pytest

from bot.channels.oa.reading import Came, Clicked, Happened, Ignored, Showed, Unfollowed, Wrote, read

PERSON = "oPerson0001"
AT = datetime.fromtimestamp(1796000000, UTC)


def push(kind: str, **fields: str) -> dict[str, str]:
    common = {"ToUserName": "gh_1", "FromUserName": PERSON, "CreateTime": "1796000000", "MsgType": kind}
    return {**common, **({} if kind == "event" else {"MsgId": "24000000000000001"}), **fields}


def test_an_id_beyond_what_a_float_holds_stays_as_it_is() -> None:
    assert read(push("text", Content="你好", MsgId="9223372036854775807")).key == "9223372036854775807"


def test_words_and_what_was_chosen_in_a_menu_are_told_apart_by_the_field_and_not_by_its_value() -> None:
    words = read(push("text", Content="同意"))
    choice = read(push("text", Content="同意", bizmsgmenuid="0"))
    assert isinstance(words, Wrote)
    assert isinstance(choice, Wrote)
    assert (words.is_choice, choice.is_choice) == (False, True)
    assert words.sent_at == AT


@pytest.mark.parametrize(("heard", "kind"), [("我睡不着", Wrote), (" ", Showed), ("", Showed)])
def test_what_wechat_understood_of_a_voice_is_words(heard: str, kind: type[Happened]) -> None:
    assert isinstance(read(push("voice", MediaId="m1", Format="amr", Recognition=heard)), kind)


@pytest.mark.parametrize(
    ("kind", "fields", "medium"),
    [
        ("voice", {"MediaId": "m1"}, "voice:m1"),
        ("image", {"MediaId": "m2", "PicUrl": "http://x"}, "image:m2"),
        ("video", {"MediaId": "m3"}, None),
        ("location", {"Location_X": "23.1", "Location_Y": "113.3", "Label": "家"}, None),
        ("something_new", {}, None),
    ],
)
def test_what_is_no_text_is_shown_to_humans_where_it_can_be(kind: str, fields: dict[str, str], medium: str) -> None:
    happened = read(push(kind, **fields))
    assert isinstance(happened, Showed)
    assert happened.medium == medium
    assert "23.1" not in repr(happened)


def test_a_link_is_what_was_passed_on() -> None:
    happened = read(push("link", Title="怎样睡好", Description="十条", Url="http://x"))
    assert isinstance(happened, Wrote)
    assert (happened.text, happened.forwarded) == ("", "怎样睡好\n十条")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"Event": "subscribe", "EventKey": ""}, Came(person=PERSON, key="", sent_at=AT, label="")),
        ({"Event": "subscribe", "EventKey": "qrscene_hall"}, Came(person=PERSON, key="", sent_at=AT, label="hall")),
        ({"Event": "SCAN", "EventKey": "hall"}, Came(person=PERSON, key="", sent_at=AT, label="hall")),
        ({"Event": "CLICK", "EventKey": "end"}, Clicked(person=PERSON, key="", sent_at=AT, button="end")),
        ({"Event": "unsubscribe", "EventKey": ""}, Unfollowed(person=PERSON, key="", sent_at=AT)),
        ({"Event": "LOCATION", "Latitude": "23.1"}, Ignored(person=PERSON, key="", sent_at=AT, reason="location")),
        ({"Event": "VIEW", "EventKey": "http://x"}, Ignored(person=PERSON, key="", sent_at=AT, reason="view")),
    ],
)
def test_events(fields: dict[str, str], expected: Happened) -> None:
    told = [PERSON, "1796000000", "event", fields["Event"], fields.get("EventKey", "")]
    key = f"event-{hashlib.sha256(chr(0).join(told).encode()).hexdigest()[:32]}"
    happened = read(push("event", **fields))
    assert type(happened) is type(expected)
    assert happened.key == key
    for name in ("label", "button", "reason"):
        assert getattr(happened, name, None) == getattr(expected, name, None)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"FromUserName": "", "CreateTime": "1", "MsgType": "text", "Content": "x"},
        push("text"),
        push("text", Content="x", CreateTime="soon"),
        push("text", Content="x", CreateTime="9" * 30),
        push("event"),
    ],
)
def test_what_has_another_shape_is_said(fields: dict[str, str]) -> None:
    with pytest.raises((KeyError, ValueError)):
        read(fields)
