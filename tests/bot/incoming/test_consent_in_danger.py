"""Danger is answered before anybody agreed to anything."""

import pytest

from bot.incoming.receipt import ConsentOutcome
from dialogue.core import danger_course as danger
from tests.bot.practice import ACTIVE, ACUTE, Practice


@pytest.mark.parametrize("before", [[], ["不同意"], ["我12岁"], ["同意", "/withdraw"]])
def test_danger_is_answered_without_consent_and_without_the_model(practice: Practice, before: list[str]) -> None:
    practice.say("你好")
    for text in before:
        practice.say(text)
    practice.answer_all()
    practice.new_answers()
    receipt = practice.say(ACUTE)
    assert receipt.turn_id is None
    words = "\n".join(practice.new_answers())
    assert "120" in words
    assert danger.ALARM in practice.actions()
    practice.say("我不知道该怎么办才好呢")
    next_words = "\n".join(practice.new_answers())
    assert next_words != words
    assert practice.notice not in next_words


def test_active_danger_is_answered_at_once_and_by_the_model_after_the_consent(practice: Practice) -> None:
    practice.say(ACTIVE)
    (words,) = practice.new_answers()
    assert "12356" in words
    practice.say("嗯")
    assert practice.notice not in practice.new_answers()  # an answer to what we asked: danger comes first
    practice.say("我今天去公园散步了，天气很好")
    assert practice.new_answers() == [practice.notice]
    practice.say("同意")
    assert practice.answer_all() == [f"{ACTIVE}\n嗯\n我今天去公园散步了，天气很好"]


@pytest.mark.parametrize("said", ["有", "就今晚", "药在手边"])
def test_an_answer_to_our_question_meets_neither_notice_nor_silence(practice: Practice, said: str) -> None:
    practice.say("你好")
    practice.say("我想自杀")
    practice.new_answers()
    practice.say(said)
    answers = practice.new_answers()
    assert answers
    assert practice.notice not in answers


@pytest.mark.parametrize("no", ["不", "No thanks", "不，謝謝您", "I refuse"])
def test_a_bare_no_in_danger_answers_what_we_asked_and_not_the_notice(practice: Practice, no: str) -> None:
    practice.say(ACTIVE)
    practice.new_answers()
    assert practice.say(no).consent is not ConsentOutcome.DECLINED
    assert practice.say("我不同意，谢谢").consent is ConsentOutcome.DECLINED


@pytest.mark.parametrize("exit_word", ["结束对话", "/reset", "撤回同意"])
def test_nobody_in_danger_goes_away_without_a_number(practice: Practice, exit_word: str) -> None:
    practice.agree()
    practice.say(ACUTE)
    practice.new_answers()
    practice.say(exit_word)
    assert "120" in "\n".join(practice.new_answers())
    assert practice.say("你好").turn_id is None
    assert practice.new_answers()


def test_a_child_that_is_beaten_is_answered_and_raises_an_alarm(practice: Practice) -> None:
    practice.say("我12岁，爸爸天天用皮带抽我")
    assert practice.notice not in practice.new_answers()
    assert danger.ALARM in practice.actions()


def test_somebody_who_asks_for_a_human_is_told_the_truth_and_the_staff_hear_of_it(practice: Practice) -> None:
    practice.agree()
    practice.new_answers()
    practice.say("转人工")
    assert "12356" in "\n".join(practice.new_answers())
    assert "asked_for_human" in practice.actions()


def test_in_acute_danger_a_consent_does_not_bring_the_model(practice: Practice) -> None:
    practice.say("/start")
    practice.say(ACUTE)
    practice.new_answers()
    assert practice.say("同意").turn_id is None
    thanks, script = practice.new_answers()
    assert thanks == practice.words.say("disclosure_agreed")
    assert script
    assert practice.stored_texts() == 1
