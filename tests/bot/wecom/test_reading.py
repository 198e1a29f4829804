"""One element of a pull, as a value."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from bot.channels.wecom.chat import WecomChat
from bot.channels.wecom.reading import (
    MEDIA,
    DutyChanged,
    Entered,
    Happened,
    HumanEnded,
    HumanSpeaks,
    Ignored,
    NotDelivered,
    Recalled,
    Showed,
    Wrote,
    person_of,
    read,
)

CHAT = WecomChat(account="wkAAAA0001", person="wmPERSON01")
AT = datetime.fromtimestamp(1796000003, UTC)


def person_wrote(msgtype: str, content: object) -> Happened:
    return read(
        {
            "msgid": "fm-9001",
            "open_kfid": CHAT.account,
            "external_userid": CHAT.person,
            "send_time": 1796000003,
            "origin": 3,
            "msgtype": msgtype,
            msgtype: content,
        },
        "",
    )


def event(kind: str, **fields: object) -> Happened:
    inside = {"event_type": kind, "external_userid": CHAT.person, "open_kfid": CHAT.account, **fields}
    return read({"send_time": 1796000003, "origin": 4, "msgtype": "event", "event": inside}, "")


def test_words_and_choices() -> None:
    wrote = Wrote(chat=CHAT, message_id="fm-9001", sent_at=AT, text="我睡不着")
    assert person_wrote("text", {"content": "我睡不着"}) == wrote
    chose = person_wrote("text", {"content": "同意", "menu_id": "consent:adult"})
    assert isinstance(chose, Wrote)
    assert chose.menu_id == "consent:adult"


@pytest.mark.parametrize("kind", ["image", "voice", "video", "file", "channels_shop_order", "meeting", "of the future"])
def test_what_is_no_text(kind: str) -> None:
    medium = f"{kind}:M" if kind in MEDIA else None
    assert person_wrote(kind, {"media_id": "M"}) == Showed(chat=CHAT, message_id="fm-9001", sent_at=AT, medium=medium)


def test_strings_beside_what_is_no_text_are_heard() -> None:
    shown = person_wrote("link", {"title": "怎样结束自己", "desc": "很快", "url": "https://x"})
    assert isinstance(shown, Showed)
    assert shown.beside == "怎样结束自己\n很快"


def test_words_that_were_passed_on_together() -> None:
    items = [{"msgtype": "text", "msg_content": '{"text": {"content": "他说他不想活了"}}'}, {"msg_content": "{"}, 7]
    passed_on = person_wrote("merged_msg", {"title": "聊天记录", "item": items})
    assert isinstance(passed_on, Wrote)
    assert (passed_on.text, passed_on.forwarded) == ("", "他说他不想活了")


def test_events() -> None:
    entered = event("enter_session", scene="poster", welcome_code="wc-1")
    assert isinstance(entered, Entered)
    assert (entered.scene, entered.welcome_code, (entered.until - AT).total_seconds()) == ("poster", "wc-1", 20)
    delivery = UUID(int=7)
    assert event("msg_send_fail", fail_msgid=delivery.hex, fail_type=10) == NotDelivered(
        chat=CHAT, delivery_id=delivery, reason="refused_by_person", is_refused_by_person=True
    )
    assert event("user_recall_msg", recall_msgid="fm-1") == Recalled(chat=CHAT, message_id="fm-1", at=AT)
    assert event("servicer_status_change", servicer_userid="li", status=1) == DutyChanged()


@pytest.mark.parametrize("change", [1, 2, 4])
def test_a_colleague_has_the_session(change: int) -> None:
    assert event("session_status_change", change_type=change, new_servicer_userid="li") == HumanSpeaks(
        chat=CHAT, servicer="li", at=AT
    )


def test_a_colleague_has_ended_it() -> None:
    assert event("session_status_change", change_type=3, old_servicer_userid="li") == HumanEnded(chat=CHAT, at=AT)


def test_events_without_an_id_have_one_of_their_own() -> None:
    first, again = event("enter_session", scene="a"), event("enter_session", scene="a")
    other = event("enter_session", scene="b")
    assert isinstance(first, Entered)
    assert isinstance(other, Entered)
    assert first == again
    assert first.message_id != other.message_id


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"msgtype": "event"},
        {"msgtype": "event", "event": "x"},
        {"msgtype": "event", "event": {"event_type": "of the future", "external_userid": "wm"}},
        {"msgtype": "event", "event": {"event_type": "enter_session"}},
        {"origin": 3, "msgtype": "text"},
        {"origin": 5, "msgtype": "text"},
        {"origin": 99, "msgtype": "text", "external_userid": "wm"},
    ],
)
def test_what_is_nobodys_is_ignored(item: dict[str, Any]) -> None:
    assert isinstance(read(item, "wk"), Ignored)
    assert isinstance(person_of(item), str)


@pytest.mark.parametrize("value", [None, "x", [], {}, -1, True])
def test_fields_of_another_kind_break_nothing(value: object) -> None:
    for kind in ("text", "link", "merged_msg"):
        read({"origin": 3, "msgtype": kind, "external_userid": "wm", "send_time": value, kind: value}, "wk")
    inside = {"external_userid": "wm", "fail_type": value, "fail_msgid": value, "change_type": value, "scene": value}
    for kind in ("enter_session", "msg_send_fail", "session_status_change", "user_recall_msg"):
        read({"msgtype": "event", "send_time": value, "event": {"event_type": kind, **inside}}, "wk")
