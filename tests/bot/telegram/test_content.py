"""What a message of any kind says, read from the raw object."""

from typing import Any

import pytest

from bot.channels.telegram.content import content_of
from bot.channels.telegram.updates import Account, Event, Overheard, Revised, Said, Showed, read

ACCOUNT = Account(id=4242, username="MindglmTestBot")
BOT = {"id": 4242, "is_bot": True, "first_name": "MindGLM"}
ME = {"id": 7, "is_bot": False, "first_name": "人", "language_code": "zh-hant"}
FRIEND = {"id": 8, "is_bot": False, "first_name": "友"}
PRIVATE = {"id": 7, "type": "private"}
GROUP = {"id": -100, "type": "supergroup", "title": "组"}
FILE = {"file_id": "a", "file_unique_id": "b"}
DANGER = "我今晚就跳楼"


def update(*, chat: dict[str, Any] = PRIVATE, kind: str = "message", **fields: Any) -> dict[str, Any]:
    return {"update_id": 1, kind: {"message_id": 5, "from": ME, "chat": chat, "date": 1_790_000_000, **fields}}


def events(*, chat: dict[str, Any] = PRIVATE, kind: str = "message", **fields: Any) -> list[Event]:
    return read(update(chat=chat, kind=kind, **fields), ACCOUNT, are_groups_served=True)


def said(**fields: Any) -> Said:
    (event,) = events(**fields)
    assert isinstance(event, Said)
    return event


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"checklist": {"title": "今晚", "tasks": [{"id": 1, "text": DANGER}]}}, f"今晚\n{DANGER}"),
        ({"poll": {"id": "1", "question": "去吗", "options": [{"text": DANGER, "voter_count": 0}]}}, f"去吗\n{DANGER}"),
        (
            {
                "rich_message": {
                    "blocks": [{"type": "paragraph", "text": ["我今晚", {"type": "bold", "text": "就跳楼"}]}]
                }
            },
            DANGER,
        ),
        ({"sticker": {**FILE, "emoji": "😢", "set_name": "x"}}, "😢"),
        ({"dice": {"emoji": "🎲", "value": 3}}, "🎲"),
        ({"venue": {"title": DANGER, "address": "桥上", "location": {}}, "location": {}}, f"{DANGER}\n桥上"),
        ({"hologram": {"scene": {"narration": DANGER}}}, DANGER),
        ({"hologram": [[{"title": DANGER, "file_id": "abc"}]]}, DANGER),
        ({"checklist_tasks_added": {"tasks": [{"id": 3, "text": DANGER}]}}, DANGER),
    ],
)
def test_words_of_every_kind_are_read(fields: dict[str, Any], words: str) -> None:
    assert said(**fields).message.text == words


@pytest.mark.parametrize(
    "fields",
    [
        {"document": {**FILE, "file_name": f"{DANGER}.docx"}},
        {"audio": {**FILE, "title": DANGER, "performer": "我"}},
        {"contact": {"phone_number": "1", "first_name": DANGER}},
        {"game": {"title": "x", "description": DANGER, "photo": []}},
        {"web_app_data": {"data": DANGER, "button_text": "x"}},
    ],
)
def test_a_string_beside_what_cannot_be_read_is_kept_for_the_screening(fields: dict[str, Any]) -> None:
    (event,) = events(**fields)
    assert isinstance(event, Showed)
    assert DANGER in event.message.beside
    assert event.message.text == ""


def test_a_field_that_nobody_knows_beside_a_text_is_screened_with_it() -> None:
    message = said(text="你好", mood={"note": DANGER}).message
    assert (message.text, message.beside) == ("你好", DANGER)


def test_the_name_of_a_new_topic_is_screened_and_not_answered() -> None:
    (event,) = events(forum_topic_created={"name": DANGER, "icon_color": 1})
    assert isinstance(event, Overheard)
    assert event.message.beside == DANGER
    assert events(message_auto_delete_timer_changed={"message_auto_delete_time": 60}) == []


def test_ids_types_and_formatting_are_no_words() -> None:
    entities = [{"type": "text_link", "offset": 0, "length": 1, "url": "http://a", "language": "python"}]
    content = content_of({"text": "你好", "entities": entities, "chat": PRIVATE, "from": ME, "effect_id": "5"})
    assert (content.words, content.beside) == ("你好", "")


@pytest.mark.parametrize(
    "broken",
    [
        {"reply_to_message": {"message_id": 3, "video": {"duration": "?"}}},
        {"reply_to_message": 5},
        {"external_reply": {"origin": {"type": "of the future"}}},
        {"via_bot": [], "entities": "none", "quote": 3, "forward_origin": []},
        {"photo": "none", "is_topic_message": 1, "message_thread_id": "x"},
    ],
)
def test_what_a_library_cannot_parse_takes_no_word_along(broken: dict[str, Any]) -> None:
    first, *_ = events(text=DANGER, **broken)
    assert isinstance(first, Said)
    assert first.message.text == DANGER


@pytest.mark.parametrize(
    "broken",
    [{}, {"message": []}, {"message": {"chat": 3}}, {"callback_query": {"id": 3}}, {"my_chat_member": {"a": 1}}],
)
def test_an_update_of_no_known_shape_says_nothing(broken: dict[str, Any]) -> None:
    assert read({"update_id": 1, **broken}, ACCOUNT, are_groups_served=True) == []


def test_forwarded_words_are_somebody_elses_unless_they_are_the_persons_own() -> None:
    theirs = said(text=DANGER, forward_origin={"type": "user", "sender_user": FRIEND, "date": 1}).message
    assert (theirs.text, theirs.forwarded) == ("", DANGER)
    hidden = said(text=DANGER, forward_origin={"type": "hidden_user", "sender_user_name": "友"}).message
    assert (hidden.text, hidden.forwarded) == ("", DANGER)
    mine = said(text=DANGER, forward_origin={"type": "user", "sender_user": ME, "date": 1}).message
    assert (mine.text, mine.forwarded) == (DANGER, "")


def test_somebody_elses_message_that_is_answered_is_quoted_and_the_bots_is_not() -> None:
    theirs = {"message_id": 3, "from": FRIEND, "chat": GROUP, "text": "我很难过"}
    message = said(chat=GROUP, text="@MindglmTestBot 怎么劝她", reply_to_message=theirs).message
    assert (message.text, message.quoted) == ("怎么劝她", "我很难过")
    ours = {"message_id": 3, "from": BOT, "chat": PRIVATE, "text": "你有想自杀的念头吗？"}
    message = said(text="没有", reply_to_message=ours, quote={"text": "想自杀", "position": 1}).message
    assert (message.text, message.quoted) == ("没有", "")


def test_a_quote_from_another_chat_is_quoted_by_its_part() -> None:
    reply = {"origin": {"type": "user", "sender_user": FRIEND, "date": 1}}
    message = said(text="她怎么了", external_reply=reply, quote={"text": "我不想活了", "position": 0}).message
    assert (message.text, message.quoted) == ("她怎么了", "我不想活了")


def test_the_persons_own_words_that_the_bot_was_not_told_are_theirs_when_they_point_to_them() -> None:
    mine = {"message_id": 3, "from": ME, "chat": GROUP, "text": DANGER}
    message = said(chat=GROUP, text="@MindglmTestBot", reply_to_message=mine).message
    assert message.text == DANGER
    read_before = {"message_id": 3, "from": ME, "chat": PRIVATE, "text": DANGER}
    assert said(text="现在好多了", reply_to_message=read_before).message.text == "现在好多了"


def test_what_is_written_where_programs_write_is_screened() -> None:
    code = {"type": "pre", "offset": 0, "length": 1, "language": DANGER}
    message = said(text="print", entities=[code]).message
    assert (message.text, message.beside) == ("print", DANGER)
    assert said(text="你好", link_preview_options={"url": f"http://a/{DANGER}"}).message.beside == f"http://a/{DANGER}"


def test_words_below_a_hundred_objects_are_read() -> None:
    deep: Any = {"note": DANGER}
    for _ in range(500):
        deep = [{"x": deep}]
    assert said(hologram=deep).message.text == DANGER


def test_nothing_of_a_quote_is_lost_beside_other_content() -> None:
    theirs = {"message_id": 3, "from": FRIEND, "chat": PRIVATE, "document": {**FILE, "file_name": DANGER}}
    assert said(text="她发来这个", reply_to_message=theirs).message.quoted == DANGER
    (event,) = events(voice=FILE, reply_to_message={**theirs, "text": "看"})
    assert isinstance(event, Showed)
    assert event.message.quoted == f"看\n{DANGER}"
    long = {**theirs, "text": "很长" * 600 + DANGER}
    assert DANGER in said(text="她怎么了", reply_to_message=long).message.quoted


def test_own_words_that_are_pointed_to_are_kept_beside_forwarded_ones() -> None:
    mine = {"origin": {"type": "user", "sender_user": ME, "date": 1}, "checklist": {"title": DANGER, "tasks": []}}
    origin = {"type": "user", "sender_user": FRIEND, "date": 1}
    message = said(text="你好", external_reply=mine, forward_origin=origin).message
    assert (message.text, message.forwarded) == (DANGER, "你好")


def test_an_album_is_one_thing_that_was_shown() -> None:
    shown = [
        event.message.external_id
        for number in (1, 2)
        for event in events(photo=[FILE], media_group_id="9", message_id=number)
        if isinstance(event, Showed)
    ]
    assert len(shown) == 2
    assert len(set(shown)) == 1


def test_an_edit_in_a_group_that_is_not_addressed_to_the_bot_is_told_apart() -> None:
    (event,) = events(kind="edited_message", chat=GROUP, text=DANGER)
    assert isinstance(event, Revised)
    assert not event.is_addressed


def test_a_topic_that_the_bot_opened_is_not_addressed_to_it() -> None:
    opened = {"message_id": 77, "from": BOT, "chat": GROUP, "forum_topic_created": {"name": "x"}}
    topic: dict[str, Any] = {"is_topic_message": True, "message_thread_id": 77}
    assert events(chat=GROUP, text="大家好", reply_to_message=opened, **topic) == []
    inaccessible = {"message_id": 77, "from": BOT, "chat": GROUP, "date": 0}
    assert events(chat=GROUP, text="大家好", reply_to_message=inaccessible, **topic) == []


def test_a_topic_of_a_private_chat_is_a_place_of_its_own() -> None:
    message = said(text="你好", is_topic_message=True, message_thread_id=777).message
    assert message.address.chat_id == "7/7/777"
    assert message.is_private


def test_what_is_added_to_a_checklist_is_read_and_the_list_that_stood_there_is_screened_beside_it() -> None:
    there = {"message_id": 3, "from": {**FRIEND, "first_name": DANGER}, "chat": PRIVATE, "date": 1, "text": "从前的"}
    message = said(checklist_tasks_added={"checklist_message": there, "tasks": [{"id": 3, "text": "新的"}]}).message
    assert (message.text, message.beside) == ("新的", "从前的")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("＠mindglmtestbot 睡不着", "睡不着"),
        ("睡不着@MindglmTestBot", "睡不着"),
        ("结束对话@MindglmTestBot", "结束对话"),
        ("／end@MindglmTestBot", "／end@MindglmTestBot"),
        ("/end＠MindglmTestBot。", "/end＠MindglmTestBot。"),
        ("/end@MindglmTestBot🙏", "/end@MindglmTestBot🙏"),
    ],
)
def test_in_a_group_it_is_addressed_in_every_spelling(text: str, words: str) -> None:
    assert said(chat=GROUP, text=text).message.text == words


@pytest.mark.parametrize("text", ["/end@OtherBot", "／end＠OtherBot", "写到 a@MindglmTestBot", "@MindglmTestBot2 你好"])
def test_in_a_group_what_is_meant_for_others_is_left_alone(text: str) -> None:
    assert events(chat=GROUP, text=text) == []


def test_in_a_group_a_mention_by_another_name_is_one() -> None:
    named = [{"type": "text_mention", "offset": 0, "length": 2, "user": BOT}]
    assert said(chat=GROUP, text="小心 睡不着", entities=named).message.text == "小心 睡不着"
    other = [{"type": "text_mention", "offset": 0, "length": 2, "user": FRIEND}]
    assert events(chat=GROUP, text="小心 睡不着", entities=other) == []


@pytest.mark.parametrize(
    "text", ["🙏/end@MindglmTestBot", "谢谢 ／end＠mindglmtestbot", "你好 ＠ＭｉｎｄｇｌｍＴｅｓｔＢｏｔ"]
)
def test_in_a_group_its_name_is_heard_behind_other_words_and_in_full_width(text: str) -> None:
    assert isinstance(said(chat=GROUP, text=text), Said)


def test_a_mention_in_full_width_is_taken_out_of_the_words() -> None:
    assert said(chat=GROUP, text="＠ＭｉｎｄｇｌｍＴｅｓｔＢｏｔ　我睡不着").message.text == "我睡不着"


def test_in_a_group_a_quote_of_a_message_that_is_gone_is_somebody_elses() -> None:
    quote = {"text": DANGER, "position": 0}
    message = said(chat=GROUP, text="@MindglmTestBot 怎么劝他", quote=quote).message
    assert (message.text, message.quoted) == ("怎么劝他", DANGER)
    assert said(text="没有", quote=quote).message.quoted == ""


def test_strings_beside_a_stickers_emoji_are_screened() -> None:
    message = said(sticker={**FILE, "emoji": "😢", "set_name": "x", "title": DANGER}).message
    assert (message.text, message.beside) == ("😢", DANGER)
