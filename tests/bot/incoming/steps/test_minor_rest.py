"""The young rest after an hour."""

from bot.incoming.receipt import Receipt
from bot.incoming.steps import minor_rest
from care.age import AgeBand
from tests.bot.incoming.steps.talk import ACTIVE, Talk


def test_after_an_hour_a_rest_is_asked_for_once_in_a_row(talk: Talk) -> None:
    talk.set(age_band=AgeBand.MINOR)
    talk.been_here(61)
    talk.answered(minor_rest.decide)
    assert talk.answered(minor_rest.decide) == Receipt()
    assert talk.owed() == [talk.rules.gate.say("disclosure_rest")]
    assert "我睡不着" not in talk.stored()


def test_danger_and_words_to_a_human_pass(talk: Talk) -> None:
    talk.set(age_band=AgeBand.MINOR)
    talk.been_here(61)
    talk.passed_on(minor_rest.decide, ACTIVE)
    talk.taken_over()
    talk.passed_on(minor_rest.decide)


def test_adults_and_shorter_visits_pass(talk: Talk) -> None:
    talk.been_here(61)
    talk.passed_on(minor_rest.decide)
    talk.set(age_band=AgeBand.MINOR)
    talk.been_here(59)
    talk.passed_on(minor_rest.decide)
