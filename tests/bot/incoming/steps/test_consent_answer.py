"""A stranger's yes, no or age is the answer to the notice."""

from bot.incoming.steps import consent_answer, consent_gate
from care.age import AgeBand
from tests.bot.incoming.steps.talk import ACUTE, Talk


def test_words_that_waited_are_answered_after_the_yes(stranger: Talk) -> None:
    stranger.answered(consent_gate.decide, "我睡不着")
    receipt = stranger.answered(consent_answer.decide, "同意，20岁")
    assert receipt.turn_id is not None
    assert stranger.person().age_band is AgeBand.ADULT
    turn = stranger.rooms.claimed(stranger.opened(), owner=receipt.turn_id)
    assert turn.text == "我睡不着"


def test_a_child_is_turned_away(stranger: Talk) -> None:
    stranger.answered(consent_answer.decide, "我今年12岁")
    assert stranger.owed() == [stranger.rules.gate.say("disclosure_too_young")]


def test_danger_other_words_and_people_who_agreed_pass(stranger: Talk, talk: Talk) -> None:
    stranger.passed_on(consent_answer.decide, ACUTE)
    stranger.passed_on(consent_answer.decide, "我睡不着")
    talk.passed_on(consent_answer.decide, "同意")
