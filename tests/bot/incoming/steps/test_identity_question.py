"""Who answers here is said truthfully."""

from bot.incoming.steps import identity_question
from tests.bot.incoming.steps.talk import Talk

QUESTION = "你是真人吗"


def test_the_question_alone_is_answered_without_the_model(talk: Talk) -> None:
    receipt = talk.answered(identity_question.decide, QUESTION)
    assert receipt.turn_id is None
    assert talk.owed() == [talk.rules.gate.say("identity_is_human")]


def test_beside_other_words_the_truth_goes_along(talk: Talk) -> None:
    passed = talk.passed_on(identity_question.decide, f"{QUESTION}？我最近总是睡不着，不知道该和谁说这些事情，心里很乱")
    assert passed.preface == talk.rules.gate.say("identity_is_human")


def test_in_acute_danger_it_is_not_all_that_is_said(talk: Talk) -> None:
    talk.in_danger()
    assert talk.passed_on(identity_question.decide, QUESTION).preface is not None


def test_a_human_who_answers_is_not_contradicted(talk: Talk) -> None:
    talk.taken_over()
    assert talk.passed_on(identity_question.decide, QUESTION).preface is None


def test_other_words_pass(talk: Talk) -> None:
    assert talk.passed_on(identity_question.decide).preface is None


def test_somebody_whose_first_words_ask_for_a_human_is_answered(talk: Talk) -> None:
    receipt = talk.answered(identity_question.decide, "我想和真人说话")
    assert receipt.conversation_id is not None
    assert talk.owed()
