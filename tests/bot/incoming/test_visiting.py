"""Reminders, rests and labels come at their time."""

from sqlalchemy import select

from dialogue.states import ClosedBy
from dialogue.tables import Conversation
from tests.bot.practice import ACTIVE, ME, Practice


def test_the_young_are_reminded_and_rest_after_an_hour_but_not_in_danger(practice: Practice) -> None:
    practice.say("我睡不着")
    practice.say("同意 16")
    practice.answer_all()
    practice.new_answers()
    told: dict[int, list[str]] = {}
    for minute in range(0, 70, 5):
        practice.say(f"第{minute}分钟")
        practice.answer_all()
        told[minute] = [answer for answer in practice.new_answers() if answer != "我在听"]
        practice.clock.tick(300)
    assert "休息" not in str(told[25])
    assert "歇一歇" in str(told[30])
    assert "休息 15 分钟" in str(told[60])
    assert practice.say(ACTIVE).turn_id is not None


def test_the_young_begin_anew_after_a_pause_and_grown_people_go_on(practice: Practice) -> None:
    for who, answer in (("小王", "同意 16"), ("小李", "同意")):
        practice.say("你好", who=who)
        practice.say(answer, who=who)
        practice.say("我睡不着", who=who)
    practice.answer_all()
    practice.clock.tick(3600)
    young, grown = practice.say("我又来了", who="小王"), practice.say("我又来了", who="小李")
    with practice.services.database.read() as session:
        closed = session.scalars(select(Conversation.closed_by).where(Conversation.closed_at.is_not(None))).all()
    assert closed == [ClosedBy.PAUSE]
    for receipt, count in ((young, 0), (grown, 1)):
        assert receipt.conversation_id is not None
        assert len(practice.rooms.claimed(receipt.conversation_id, owner=ME).history) == count


def test_two_hours_of_talk_and_a_return_on_another_day_bring_a_reminder(practice: Practice) -> None:
    practice.agree()
    reminders = []
    for _ in range(26):
        practice.say("我在想以前的事")
        practice.answer_all()
        reminders += [answer for answer in practice.new_answers() if answer != "我在听"]
        practice.clock.tick(300)
    assert reminders == [practice.words.say("disclosure_periodic")]
    practice.clock.tick(13 * 3600)
    practice.say("我又来了")
    assert practice.new_answers() == [practice.words.say("disclosure_return")]


def test_the_first_reply_of_a_day_carries_the_label(practice: Practice) -> None:
    practice.with_gate(is_labelling=True)
    practice.agree()
    label = practice.words.say("disclosure_label")
    days = []
    for _ in range(2):
        for _ in range(2):
            practice.say("我睡不着")
            practice.answer_all()
        days.append([label in answer for answer in practice.new_answers()])
        practice.clock.tick(86400)
    assert days == [[False, False], [False, True, False]]  # the notice said it; the next day begins with a reminder


def test_a_label_that_was_never_sent_comes_with_the_next_reply(practice: Practice) -> None:
    practice.with_gate(is_labelling=True, is_required=False)
    practice.say("我睡不着")
    practice.say("/reset")
    practice.say("我睡不着")
    practice.answer_all()
    assert practice.words.say("disclosure_label") in practice.new_answers()[-1]
