"""Danger is answered before anybody agreed to anything."""

import pytest

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
    (words,) = practice.new_answers()
    assert "120" in words
    assert danger.ALARM in practice.actions()
    practice.say("我不知道该怎么办才好呢")
    (next_words,) = practice.new_answers()
    assert next_words != words
    assert practice.notice not in next_words


def test_active_danger_is_answered_at_once_and_by_the_model_after_the_consent(practice: Practice) -> None:
    practice.say(ACTIVE)
    (words,) = practice.new_answers()
    assert "12356" in words
    practice.say("嗯")
    assert practice.new_answers() == [practice.notice]  # nothing was asked before: danger comes first
    practice.say("同意")
    assert practice.answer_all() == [f"{ACTIVE}\n嗯"]


def test_in_acute_danger_a_consent_does_not_bring_the_model(practice: Practice) -> None:
    practice.say("/start")
    practice.say(ACUTE)
    practice.new_answers()
    assert practice.say("同意").turn_id is None
    thanks, script = practice.new_answers()
    assert thanks == practice.words.say("disclosure_agreed")
    assert script
    assert practice.stored_texts() == 1
