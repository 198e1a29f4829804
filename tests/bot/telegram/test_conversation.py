"""People on Telegram talk with the bot: real adapter, worker, broker and database; only Telegram is ours."""

import itertools
import json
import time

import pytest
from sqlalchemy import select

from dialogue.states import TurnState
from dialogue.tables import AuditEntry, Conversation, Feedback
from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.wire import BOT
from tests.patience import wait_until

_ids = itertools.count(1000)


@pytest.fixture
def who() -> int:
    return next(_ids)


@pytest.fixture
def group() -> dict[str, object]:
    return {"id": -next(_ids), "type": "supergroup", "title": "组"}


MENTION = f"@{BOT['username']}"


def test_words_are_answered_with_the_conversation_so_far(house: Clinic, who: int) -> None:
    house.telegram.write(who, "我睡不着")
    house.wait_for(who, 1)
    house.telegram.write(who, "三天了")
    assert house.wait_for(who, 2) == ["0 收到：我睡不着", "1 收到：三天了"]


def test_each_command_is_answered_and_reset_starts_over(house: Clinic, who: int) -> None:
    house.telegram.write(who, "一")
    house.wait_for(who, 1)
    for count, command in enumerate(["/start", "/help", f"/privacy{MENTION}", "/reset"], start=2):
        house.telegram.write(who, command)
        house.wait_for(who, count)
    house.telegram.write(who, "二")
    answers = house.wait_for(who, 6)
    assert "不是真人" in answers[1]
    assert "加密" in answers[3]
    assert answers[5] == "0 收到：二"


def test_the_menu_is_offered_in_both_languages(house: Clinic) -> None:
    wait_until(lambda: len(house.telegram.commands) == 3, 10)
    assert set(house.telegram.commands) == {"zh", "en", ""}
    offered = ["start", "help", "reset", "privacy", "export", "delete", "contact", "complain", "share", "withdraw"]
    assert all(commands == offered for commands in house.telegram.commands.values())


def test_somebody_takes_their_data_along_and_has_it_deleted(house: Clinic, who: int) -> None:
    house.telegram.write(who, "我睡不着")
    house.wait_for(who, 1)
    house.telegram.write(who, "/export")
    house.wait_for(who, 3)
    text, document = (sent.file for sent in house.telegram.sent[who][1:3])
    assert text is not None
    assert document is not None
    assert "支持者（AI生成）：0 收到：我睡不着" in text.decode()
    assert json.loads(document)["person"]["user_id"] == str(who)
    house.telegram.write(who, "/delete")
    house.wait_for(who, 4)
    house.telegram.write(who, "确认删除")
    assert "已经删除" in house.wait_for(who, 5)[4]
    house.telegram.write(who, "我回来了")
    assert house.wait_for(who, 6)[5] == "0 收到：我回来了"


def test_the_label_of_a_link_is_kept(house: Clinic, who: int) -> None:
    house.telegram.write(who, "/start campus_7")
    house.wait_for(who, 1)
    with house.database.read() as session:
        labels = session.scalars(select(AuditEntry.reason).where(AuditEntry.action == "came_by")).all()
    assert "campus_7" in labels


def test_a_repeated_update_is_answered_once(house: Clinic, who: int) -> None:
    house.telegram.write(who, "一次")
    house.wait_for(who, 1)
    house.telegram.write(who, "两次")
    update = house.telegram.last_update
    house.telegram.repeat(update)
    house.telegram.repeat(update)
    house.wait_for(who, 2)
    house.telegram.repeat(update)
    house.telegram.write(who, "完")
    assert house.wait_for(who, 3) == ["0 收到：一次", "1 收到：两次", "2 收到：完"]


def test_an_edit_of_answered_words_changes_nothing(house: Clinic, who: int) -> None:
    message_id = house.telegram.write(who, "我很好")
    house.wait_for(who, 1)
    house.telegram.edit(who, message_id, "我不好")
    house.telegram.write(who, "在吗")
    assert house.wait_for(who, 2) == ["0 收到：我很好", "1 收到：在吗"]


def test_an_edit_into_danger_is_answered_by_us_whatever_became_of_the_old_words(house: Clinic, who: int) -> None:
    message_id = house.telegram.write(who, "今天还行")
    house.wait_for(who, 1)
    house.telegram.edit(who, message_id, "今天还行。其实我已经写好遗书，今晚就跳楼")
    assert "120" in house.wait_for(who, 2)[1]


def test_words_in_what_no_library_can_parse_are_answered(house: Clinic, who: int) -> None:
    chat = {"id": who, "type": "private", "first_name": "人"}
    broken = {"message_id": 3, "chat": chat, "date": 1, "video": {"duration": "?"}}
    house.telegram.message(who, chat, text="在吗", reply_to_message=broken)
    house.wait_for(who, 1)
    house.telegram.message(who, chat, checklist={"title": "今晚", "tasks": [{"id": 1, "text": "我今晚就跳楼"}]})
    assert "120" in house.wait_for(who, 2)[1]
    assert "update_skipped" not in house.logs()


def test_what_is_no_text_is_excused_once_for_a_burst(house: Clinic, who: int) -> None:
    chat = {"id": who, "type": "private", "first_name": "人"}
    file = {"file_id": "a", "file_unique_id": "b"}
    house.telegram.message(who, chat, voice={**file, "duration": 3})
    house.telegram.message(who, chat, sticker={**file, "type": "regular", "width": 1, "height": 1})
    house.telegram.message(who, chat, location={"latitude": 1.0, "longitude": 1.0})
    house.telegram.message(who, chat, contact={"phone_number": "1", "first_name": "人"})
    house.telegram.message(who, chat, document=file)
    house.telegram.write(who, "好的")
    answers = house.wait_for(who, 2)
    assert "文字" in answers[0]
    assert answers[1] == "0 收到：好的"
    house.telegram.message(who, chat, photo=[{**file, "width": 1, "height": 1}], caption="这张")
    later = house.wait_for(who, 4)[2:]
    assert any("文字" in answer for answer in later)
    assert "1 收到：这张" in later


def test_service_messages_channels_business_and_bots_are_ignored(house: Clinic, who: int) -> None:
    chat = {"id": who, "type": "private", "first_name": "人"}
    channel = {"id": -who, "type": "channel", "title": "频道"}
    before = house.stored()
    house.telegram.message(who, chat, pinned_message={"message_id": 1, "chat": chat, "date": 0})
    house.telegram.message(who, chat, is_bot=True, text="机器人")
    house.telegram.push(channel_post={"message_id": 1, "chat": channel, "date": 1, "text": "频道"})
    house.telegram.push(
        business_message={
            "message_id": 2,
            "chat": chat,
            "date": 1,
            "text": "生意",
            "from": {"id": who, "is_bot": False, "first_name": "人"},
        }
    )
    house.telegram.push(something_new={"id": who, "chat": chat})
    house.telegram.write(who, "人")
    assert house.wait_for(who, 1) == ["0 收到：人"]
    assert house.stored() == before + 1


def test_in_a_group_only_who_speaks_to_the_bot_is_answered_and_each_alone(
    house: Clinic, who: int, group: dict[str, object]
) -> None:
    place, other = int(str(group["id"])), who + 100_000
    house.telegram.message(who, group, text="大家好")
    house.telegram.message(who, group, text="/help@SomeOtherBot")
    first = house.telegram.message(who, group, text=f"{MENTION} 我很累")
    house.wait_for(place, 1)
    second = house.telegram.message(other, group, text=f"我也是 {MENTION}")
    house.wait_for(place, 2)
    answer = house.telegram.sent[place][0]
    reply_to = {"message_id": answer.message_id, "from": BOT, "chat": group, "date": 0, "text": answer.text}
    house.telegram.message(who, group, text="为什么", reply_to_message=reply_to)
    assert house.wait_for(place, 3, seconds=30) == ["0 收到：我很累", "0 收到：我也是", "1 收到：为什么"]
    assert [sent.reply_to for sent in house.telegram.sent[place]][:2] == [first, second]


def test_each_topic_of_a_forum_is_a_conversation_of_its_own_and_answered_in_its_place(
    house: Clinic, who: int, group: dict[str, object]
) -> None:
    place = int(str(group["id"]))
    forum = {**group, "is_forum": True}
    for count, topic in enumerate((7, 8, 7), start=1):
        text = f"{MENTION} 第{count}句"
        house.telegram.message(who, forum, text=text, message_thread_id=topic, is_topic_message=True)
        house.wait_for(place, count)
    assert house.telegram.texts(place) == ["0 收到：第1句", "0 收到：第2句", "1 收到：第3句"]
    assert [sent.thread_id for sent in house.telegram.sent[place]] == [7, 8, 7]


def test_a_reply_in_a_group_that_is_no_forum_stays_with_its_person(
    house: Clinic, who: int, group: dict[str, object]
) -> None:
    """There `message_thread_id` only names the message that was replied to."""
    place = int(str(group["id"]))
    house.telegram.message(who, group, text=f"{MENTION} 一")
    house.wait_for(place, 1)
    house.telegram.message(who, group, text=f"{MENTION} 二", message_thread_id=55)
    assert house.wait_for(place, 2) == ["0 收到：一", "1 收到：二"]
    assert [sent.thread_id for sent in house.telegram.sent[place]] == [None, None]


def test_words_of_danger_are_answered_by_us_at_once_and_the_model_says_nothing(house: Clinic, who: int) -> None:
    house.telegram.write(who, "我今晚就想结束自己")
    (words,) = house.wait_for(who, 1)
    assert "120" in words
    assert not house.telegram.sent[who][0].buttons
    house.telegram.write(who, "没有人在")
    assert len(house.wait_for(who, 2)) == 2
    assert not any("收到" in text for text in house.telegram.texts(who))


def test_a_rating_is_kept_once_and_can_be_changed_and_survives_a_reset(house: Clinic, who: int) -> None:
    house.telegram.write(who, "一")
    house.wait_for(who, 1)
    (sent,) = house.telegram.sent[who]
    assert len(sent.buttons) == 2
    house.telegram.press(who, sent, 0)
    house.telegram.press(who, sent, 0)
    house.telegram.write(who, "/reset")
    house.telegram.press(who, sent, 1)
    house.telegram.press(who + 500_000, sent, 0)  # not theirs
    thanked_before = len(house.telegram.thanked)
    house.telegram.write(who, "二")
    house.wait_for(who, 3)
    with house.database.read() as session:
        ratings = session.scalars(select(Feedback.value).order_by(Feedback.id)).all()
    assert ratings[-1:] == [-1]
    wait_until(lambda: len(house.telegram.thanked) >= max(4, thanked_before), 10)
    assert not house.telegram.sent[who][1].buttons  # a command's answer is no reply


def test_somebody_who_blocks_the_bot_ends_the_conversation(house: Clinic, who: int) -> None:
    house.telegram.write(who, "一")
    house.wait_for(who, 1)
    person = {"id": who, "is_bot": False, "first_name": "人"}
    member = {"user": BOT, "status": "member"}
    house.telegram.push(
        my_chat_member={
            "chat": {"id": who, "type": "private"},
            "from": person,
            "date": int(time.time()),
            "old_chat_member": member,
            "new_chat_member": {"user": BOT, "status": "kicked", "until_date": 0},
        }
    )

    def is_closed() -> bool:
        with house.database.read() as session:
            return session.scalar(select(Conversation.closed_by).where(Conversation.chat_id == str(who))) == "channel"

    wait_until(is_closed, 10)


def test_a_blocked_bot_closes_the_conversation_and_does_not_try_again(house: Clinic, who: int) -> None:
    house.telegram.blocked.add(who)
    tried_before = house.telegram.count("sendMessage")
    house.telegram.write(who, "再见")

    def state() -> object:
        with house.database.read() as session:
            return session.scalar(select(Conversation.closed_by).where(Conversation.chat_id == str(who)))

    wait_until(lambda: state() == "channel", 10)
    wait_until(house.is_quiet, 10)  # nothing is owed any more, so nothing is tried again
    assert house.telegram.count("sendMessage") == tried_before + 1


def test_a_house_that_asks_nobody_says_so_at_its_start(house: Clinic) -> None:
    assert "MINDGLM_CONSENT=off" in house.logs()


def test_no_word_and_no_token_is_in_any_log(house: Clinic, who: int) -> None:
    house.telegram.write(who, "谁也不许看见的话")
    house.wait_for(who, 1)
    logs = house.logs()
    assert "turn_answered" in logs
    assert "谁也不许看见的话" not in logs
    assert house.telegram.token not in logs
    assert house.telegram.token.partition(":")[2] not in logs


def test_everything_that_was_heard_was_answered(house: Clinic) -> None:
    wait_until(house.is_quiet, 20)
    assert set(house.turns()) <= {TurnState.ANSWERED, TurnState.DISCARDED}
