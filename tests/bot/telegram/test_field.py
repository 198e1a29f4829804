"""What breaks such bots in the field (docs/field.md), through a real adapter and worker; each person writes alone."""

import itertools
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from dialogue.core import people
from dialogue.tables import Message, Person
from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.conftest import running_house
from tests.bot.telegram.loopback import Telegram
from tests.bot.telegram.wire import BOT
from tests.patience import wait_until

MENTION = f"@{BOT['username']}"
_ids = itertools.count(3000)


@pytest.fixture(scope="module")
def slow() -> Iterator[Clinic]:
    """Replies take some seconds, so that something is shown before."""
    with running_house(
        MINDGLM_TELEGRAM_GROUPS="true",
        MINDGLM_SCRIPTED_REPLY="{turns} 收到：{text}。我在听着呢。你可以慢慢说。",
        MINDGLM_SCRIPTED_DELAY_SECONDS="5",
        MINDGLM_LOCALE="zh",
    ) as clinic:
        yield clinic


@pytest.fixture
def who() -> int:
    return next(_ids)


@pytest.fixture
def group() -> dict[str, object]:
    return {"id": -next(_ids), "type": "group", "title": "组"}


def reply(beginning: str) -> str:
    """The whole of it; it grows by sentences."""
    return f"{beginning}。我在听着呢。你可以慢慢说。"


def place_of(group: dict[str, object]) -> int:
    return int(str(group["id"]))


def is_placeholder_shown(telegram: Telegram, place: int) -> bool:
    return bool(telegram.sent[place])


def test_an_edit_without_a_change_gives_one_reply_and_an_edit_while_generating_one_anew(slow: Clinic, who: int) -> None:
    message_id = slow.telegram.write(who, "看这个")
    slow.telegram.edit(who, message_id, "看这个")
    slow.telegram.edit(who, message_id, "看那个")
    assert slow.wait_for(who, 1) == [reply("0 收到：看那个")]
    wait_until(slow.is_quiet, 20)
    assert slow.telegram.texts(who) == [reply("0 收到：看那个")]


def test_a_group_that_becomes_a_supergroup_takes_reply_and_memory_along(
    slow: Clinic, who: int, group: dict[str, object]
) -> None:
    place, there = place_of(group), place_of(group) - 1_000_000
    slow.telegram.message(who, group, text=f"{MENTION} 一")
    wait_until(lambda: is_placeholder_shown(slow.telegram, place), 20)
    slow.telegram.moved[place] = there
    wait_until(lambda: slow.telegram.texts(there) == [reply("0 收到：一")], 20)
    slow.telegram.message(who, {"id": there, "type": "supergroup", "title": "组"}, text=f"{MENTION} 二")
    wait_until(lambda: slow.telegram.texts(there)[-1] == reply("1 收到：二"), 20)


def test_a_group_that_says_that_it_moved_is_followed(slow: Clinic, who: int, group: dict[str, object]) -> None:
    place, there = place_of(group), place_of(group) - 1_000_000
    slow.telegram.message(who, group, text=f"{MENTION} 一")
    wait_until(lambda: slow.telegram.texts(place)[-1:] == [reply("0 收到：一")], 20)
    slow.telegram.message(who, group, migrate_to_chat_id=there)
    slow.telegram.message(who, {"id": there, "type": "supergroup", "title": "组"}, text=f"{MENTION} 二")
    wait_until(lambda: slow.telegram.texts(there)[-1:] == [reply("1 收到：二")], 20)
    slow.telegram.message(who, group, text=f"{MENTION} 三")  # said before, heard of late
    wait_until(lambda: slow.telegram.texts(there)[-1:] == [reply("2 收到：三")], 20)


def test_where_the_topic_is_gone_the_reply_comes_without_it(slow: Clinic, who: int, group: dict[str, object]) -> None:
    topic = next(_ids)
    slow.telegram.gone_topics.add(topic)
    forum = {**group, "type": "supergroup", "is_forum": True}
    text = f"{MENTION} 我今晚就想结束自己"
    slow.telegram.message(who, forum, text=text, message_thread_id=topic, is_topic_message=True)
    (words,) = slow.wait_for(place_of(group), 1)
    assert "120" in words
    assert slow.telegram.sent[place_of(group)][0].thread_id is None


def test_in_a_group_words_of_danger_are_shown_to_nobody_else(slow: Clinic, who: int, group: dict[str, object]) -> None:
    slow.telegram.message(who, group, text=f"{MENTION} 我今晚就想结束自己")
    slow.wait_for(place_of(group), 1)
    assert slow.telegram.sent[place_of(group)][0].only_to == who


def test_a_topic_of_a_private_chat_is_answered_inside_it(slow: Clinic, who: int) -> None:
    slow.telegram.write(who, "一", message_thread_id=777, is_topic_message=True)
    slow.wait_for(who, 1)
    slow.telegram.write(who, "二")
    slow.wait_for(who, 2)
    assert [(sent.text, sent.thread_id) for sent in slow.telegram.sent[who]] == [
        (reply("0 收到：一"), 777),
        (reply("0 收到：二"), None),
    ]


def test_one_persons_refused_draft_changes_nothing_for_others(slow: Clinic, who: int) -> None:
    other = next(_ids)
    slow.telegram.no_draft_chats.add(who)
    slow.telegram.write(who, "一")
    slow.wait_for(who, 1)
    slow.telegram.write(other, "二")
    wait_until(lambda: slow.telegram.texts(other) == [reply("0 收到：二")], 20)
    assert slow.telegram.drafts[other]
    assert slow.telegram.sent[who][0].message_id in slow.telegram.rang


def test_in_a_group_a_reply_quotes_and_rings_also_after_a_placeholder(
    slow: Clinic, who: int, group: dict[str, object]
) -> None:
    asked = slow.telegram.message(who, group, text=f"{MENTION} 一")
    wait_until(lambda: slow.telegram.texts(place_of(group)) == [reply("0 收到：一")], 20)
    (sent,) = slow.telegram.sent[place_of(group)]
    assert len(sent.versions) > 1
    assert sent.reply_to == asked
    assert sent.message_id in slow.telegram.rang


@pytest.mark.parametrize("words", ["结束對話🙏", "／reset", "我今晚就想结束自己"])
def test_nobody_types_after_the_end_or_after_words_of_danger(slow: Clinic, who: int, words: str) -> None:
    slow.telegram.write(who, "一")
    wait_until(lambda: bool(slow.telegram.actions[who] or slow.telegram.drafts[who]), 20)
    slow.telegram.write(who, words)
    slow.wait_for(who, 1)
    seen = (len(slow.telegram.actions[who]), len(slow.telegram.drafts[who]))
    slow.telegram.write(other := next(_ids), "二")  # as long as another's reply takes, nothing more is shown
    slow.wait_for(other, 1)
    assert (len(slow.telegram.actions[who]), len(slow.telegram.drafts[who])) == seen
    assert not any("收到" in text for text in slow.telegram.texts(who))


def test_the_stop_button_of_a_draft_ends_the_generation(slow: Clinic, who: int) -> None:
    draft_ids: list[int] = []
    slow.telegram.on_call = lambda method, fields: (
        draft_ids.append(int(fields["draft_id"]))
        if method == "sendMessageDraft" and int(fields["chat_id"]) == who
        else None
    )
    slow.telegram.write(who, "一")
    wait_until(lambda: bool(draft_ids), 20)
    slow.telegram.push(stopped_message_generation={"chat": {"id": who, "type": "private"}, "draft_id": draft_ids[0]})
    slow.telegram.write(who, "二")
    assert slow.wait_for(who, 1) == [reply("0 收到：二")]
    slow.telegram.on_call = lambda _method, _fields: None


def test_each_press_is_told_what_happened(slow: Clinic, who: int) -> None:
    telegram, stranger = slow.telegram, next(_ids)
    telegram.write(who, "一")
    slow.wait_for(who, 1)
    (sent,) = telegram.sent[who]
    presses = {
        telegram.press(who, sent, 0): "收到",
        telegram.press(stranger, sent, 0): "给别人",
        telegram.press(who, sent, 0, data="of:tomorrow"): "失效",
    }
    wait_until(lambda: presses.keys() <= telegram.toasts.keys(), 20)
    assert all(words in telegram.toasts[press] for press, words in presses.items())


def test_voice_is_excused_once_and_a_sticker_is_read(slow: Clinic, who: int) -> None:
    chat = {"id": who, "type": "private", "first_name": "人"}
    file = {"file_id": "a", "file_unique_id": "b"}
    for number in range(3):
        slow.telegram.message(
            who, chat, photo=[file], media_group_id=f"album-{who}", caption="这张" if not number else ""
        )
    slow.telegram.message(who, chat, voice=file)
    slow.telegram.message(who, chat, sticker={**file, "emoji": "😢"})
    texts = slow.wait_for(who, 2)
    wait_until(slow.is_quiet, 20)
    texts = slow.telegram.texts(who)
    assert sum("文字" in text for text in texts) <= 2
    assert any("😢" in text for text in texts)


def test_telegrams_longest_message_is_answered(slow: Clinic, who: int) -> None:
    days = "".join(f"第{number}天也没睡好。" for number in range(1, 400))
    longest = days + "后来也是" * ((4096 - len(days)) // 4) + "…" * ((4096 - len(days)) % 4)
    assert len(longest) == 4096
    slow.telegram.write(who, longest)
    wait_until(lambda: any("收到：第1天也没睡好。" in text for text in slow.telegram.texts(who)), 40)
    with slow.database.read() as session:
        stored = session.scalars(select(Message).join(Person).where(Person.user_id == str(who))).one()
        assert stored.text is not None
        key = people.key_of(session, slow.keys, stored.person_id)
        assert key.open(stored.text, row=stored.id, column="messages.text") == longest


def test_a_person_is_spoken_to_in_their_own_language_and_script(slow: Clinic, who: int) -> None:
    traditional, english, hinted = who, next(_ids), next(_ids)
    slow.telegram.write(traditional, "你們會怎樣處理我說的話")
    slow.telegram.write(english, "what do you keep of the words that I write")
    for one in (traditional, english):
        slow.wait_for(one, 1)
        slow.telegram.write(one, "/privacy")
    chat = {"id": hinted, "type": "private", "first_name": "人"}
    sender = {"id": hinted, "is_bot": False, "first_name": "人", "language_code": "zh-hant"}
    slow.telegram.push(
        message={"message_id": 1, "from": sender, "chat": chat, "date": 1_790_000_000, "text": "/privacy"}
    )
    wait_until(lambda: {traditional, english} <= slow.telegram.menus.keys(), 20)
    assert "資料" in slow.telegram.menus[traditional]
    assert "Export my data" in slow.telegram.menus[english]
    wait_until(lambda: any("encrypt" in text.lower() for text in slow.telegram.texts(english)), 30)
    wait_until(lambda: any("加密" in text for text in slow.telegram.texts(traditional)), 30)
    (privacy,) = (text for text in slow.telegram.texts(traditional) if "加密" in text)
    assert "資料" in privacy or "儲存" in privacy
    assert slow.wait_for(hinted, 1)[0] == privacy


def test_the_last_words_are_in_the_persons_script_too(slow: Clinic, who: int) -> None:
    leaving = next(_ids)
    for one in (who, leaving):
        slow.telegram.write(one, "這幾天總是睡不著，心裡很難受")
        slow.wait_for(one, 1)
    slow.telegram.write(who, "結束對話")
    assert "這次的對話" in slow.wait_for(who, 2)[1]
    slow.telegram.write(leaving, "刪除我的資料")
    slow.wait_for(leaving, 2)
    slow.telegram.write(leaving, "確認刪除")
    farewell = slow.wait_for(leaving, 3)[2]
    assert "已經刪除" in farewell
    assert "已经" not in farewell


def test_a_caption_that_is_taken_away_before_it_was_answered_is_not_answered(slow: Clinic, who: int) -> None:
    chat = {"id": who, "type": "private", "first_name": "人"}
    sender = {"id": who, "is_bot": False, "first_name": "人"}
    photo = [{"file_id": "a", "file_unique_id": "b"}]
    slow.telegram.write(who, "一")
    message_id = slow.telegram.message(who, chat, photo=photo, caption="这句我收回")
    slow.telegram.push(
        edited_message={
            "message_id": message_id,
            "from": sender,
            "chat": chat,
            "date": 1_790_000_000,
            "edit_date": 1_790_000_001,
            "photo": photo,
        }
    )
    slow.telegram.write(who, "二")
    wait_until(lambda: any("二" in text for text in slow.telegram.texts(who)), 30)
    wait_until(slow.is_quiet, 20)
    assert not any("收回" in text for text in slow.telegram.texts(who))
