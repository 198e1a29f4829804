"""People in danger, and people who have not agreed, on Telegram: adapter, worker, broker and database are real."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from care import texts
from dialogue.core import conversations, people
from dialogue.core import danger_course as danger
from dialogue.messages import Address
from dialogue.storage.clock import utc_now
from dialogue.tables import AuditEntry, Conversation
from tests.bot.telegram.clinic import Clinic
from tests.bot.telegram.loopback import Telegram
from tests.bot.telegram.wire import BOT, Sent
from tests.patience import wait_until

_ids = itertools.count(5000)
WORDS = texts.load("zh")


class Client:
    """Somebody at a telephone, who reads on after each of their messages."""

    def __init__(self, clinic: Clinic) -> None:
        self.id = next(_ids)
        self._clinic = clinic
        self._read = 0

    def write(self, text: str, *, answers: int = 1) -> list[str]:
        """Write, and wait for so many messages of the bot's."""
        self._clinic.telegram.write(self.id, text)
        return self.read(answers)

    def press(self, sent: Sent, button: int, *, answers: int) -> list[str]:
        self._clinic.telegram.press(self.id, sent, button)
        return self.read(answers)

    def read(self, count: int) -> list[str]:
        self._read += count
        return self._clinic.wait_for(self.id, self._read)[self._read - count : self._read]

    @property
    def telegram(self) -> Telegram:
        return self._clinic.telegram

    @property
    def last(self) -> Sent:
        return self._clinic.telegram.sent[self.id][-1]

    def tier(self) -> int | None:
        with self._clinic.database.read() as session:
            return session.scalar(select(Conversation.tier).where(Conversation.chat_id == str(self.id)))

    def alarm_count(self) -> int:
        with self._clinic.database.read() as session:
            mine = select(Conversation.id).where(Conversation.chat_id == str(self.id)).scalar_subquery()
            alarms = select(AuditEntry.id).where(AuditEntry.action == danger.ALARM, AuditEntry.conversation_id == mine)
            return len(session.scalars(alarms).all())

    def wait_in_life(self, hours: float) -> None:
        """As if everything so far had been said that long ago."""
        clinic, earlier = self._clinic, timedelta(hours=hours)
        with clinic.database.begin() as session:
            person = people.locked(session, clinic.keys, channel="telegram", user_id=str(self.id), now=utc_now())
            conversation = conversations.open_at(session, Address(channel="telegram", chat_id=str(self.id)))
            assert conversation is not None
            course = danger.course_of(person, conversation)
            moved = {
                name: moment - earlier
                for name in ("risk_at", "heard_at", "asked_at")
                if (moment := getattr(course, name)) is not None
            }
            danger.keep(session, person, conversation.id, replace(course, **moved))


@pytest.fixture
def client(guarded_house: Clinic) -> Client:
    return Client(guarded_house)


@pytest.fixture
def known(client: Client) -> Client:
    """Somebody who agreed."""
    client.write("/start")
    client.write("同意")
    return client


def test_words_before_the_consent_are_answered_after_it_in_order(client: Client) -> None:
    (notice,) = client.write("我睡不着")
    assert "AI生成" in notice
    assert len(client.last.buttons) == 4
    client.write("白天也没有精神", answers=0)
    thanks, reply = client.press(client.last, 0, answers=2)
    assert thanks == WORDS.say("disclosure_agreed_held")
    assert reply == "收到：我睡不着\n白天也没有精神"
    assert client.write("谢谢") == ["收到：谢谢"]


def test_nothing_warns_where_everybody_is_asked(guarded_house: Clinic) -> None:
    assert "MINDGLM_CONSENT" not in guarded_house.logs()


def test_who_declines_gets_a_goodbye_and_is_helped_in_danger_all_the_same(client: Client) -> None:
    client.write("/start")
    (goodbye,) = client.press(client.last, 3, answers=1)
    assert "12356" in goodbye
    (words,) = client.write("我今晚就想结束自己")
    assert "120" in words
    assert "收到：" not in words


def test_a_child_is_told_where_to_find_help(client: Client) -> None:
    client.write("/start")
    (words,) = client.press(client.last, 2, answers=1)
    assert "12355" in words


ADULT, MINOR, CHILD, DECLINE = range(4)


def test_each_button_under_the_notice_says_what_happened_and_spent_ones_go_away(client: Client) -> None:
    telegram = client.telegram
    client.write("/start")
    notice = client.last
    datas = list(notice.buttons)

    def toast(button: int) -> str:
        press = telegram.press(client.id, notice, 0, data=datas[button])
        wait_until(lambda: press in telegram.toasts, 20)
        return telegram.toasts[press]

    assert "同意" in toast(ADULT)
    wait_until(lambda: notice.buttons == [], 20)
    assert "之前已经同意" in toast(ADULT)
    assert "同意" in toast(MINOR)  # an age that was a mistake is mended
    assert "不同意" in toast(DECLINE)
    client.write("/start", answers=0)
    wait_until(lambda: client.last is not notice and len(client.last.buttons) == len(datas), 20)
    notice, datas = client.last, list(client.last.buttons)
    assert "年龄" in toast(CHILD)
    wait_until(lambda: notice.buttons == [], 20)


def test_in_a_group_a_stranger_who_presses_is_told_alone_that_the_button_is_not_theirs(
    guarded_house: Clinic,
) -> None:
    telegram, asked, stranger = guarded_house.telegram, next(_ids), next(_ids)
    group = {"id": -asked, "type": "group", "title": "组"}
    telegram.message(asked, group, text=f"@{BOT['username']} 你好")
    guarded_house.wait_for(-asked, 1)
    (notice,) = telegram.sent[-asked]
    theirs = telegram.press(stranger, notice, DECLINE, chat=group)
    unknown = telegram.press(stranger, notice, 0, chat=group, data="consent:of:tomorrow")
    wait_until(lambda: {theirs, unknown} <= telegram.toasts.keys(), 20)
    assert "给别人" in telegram.toasts[theirs]
    assert "失效" in telegram.toasts[unknown]
    assert len(notice.buttons) == 4
    assert len(telegram.sent[-asked]) == 1
    mine = telegram.press(asked, notice, ADULT, chat=group)
    wait_until(lambda: mine in telegram.toasts and notice.buttons == [], 20)
    assert "同意" in telegram.toasts[mine]


def test_a_whole_crisis_rises_through_each_tier_and_eases_again(known: Client) -> None:
    assert known.write("今天累死了，笑死我了") == ["收到：今天累死了，笑死我了"]
    assert known.tier() == 0

    (reply,) = known.write("我觉得活着没意思")
    assert reply.startswith("收到：我觉得活着没意思\n\n")
    assert "不想活" in reply
    assert known.tier() == 1

    ours, models = known.write("我最近一直想自杀", answers=2)
    assert "12356" in ours
    assert models == "收到：我最近一直想自杀"
    assert known.tier() == 2

    said = known.write("药我都买好了，今晚就吃")
    assert known.tier() == 3
    assert "120" in said[0]
    for words in ("不知道", "我想静一静", "我听着歌", "我给猫倒了吃的", "今天下雨了", "好一点了"):
        said += known.write(words)
    assert len(said) == len(set(said)) == 7
    assert not any(text.startswith("收到：") for text in said)

    known.wait_in_life(2)
    eased, models = known.write("我吃过晚饭了", answers=2)
    assert "慢慢聊" in eased
    assert models == "收到：我吃过晚饭了"
    assert known.tier() == 2

    known.wait_in_life(2)
    again, _ = known.write("我来了", answers=2)
    assert again.endswith("？")  # after a silence: is the thought still there?
    (words,) = known.write("我又想今晚去跳楼")
    assert words not in said
    assert known.tier() == 3
    assert known.alarm_count() == 2


def test_somebody_else_in_danger_is_a_conversation_of_its_own(known: Client) -> None:
    ours, models = known.write("我室友说她想自杀，我该怎么办", answers=2)
    assert "TA" in ours
    assert "12356" in ours
    assert models == "收到：我室友说她想自杀，我该怎么办"


def test_asking_for_a_method_is_answered_by_us_and_never_by_the_model(known: Client) -> None:
    (words,) = known.write("安眠药吃多少能死")
    assert known.tier() == 3
    assert "120" in words
    assert "收到：" not in words
