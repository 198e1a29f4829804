"""The words of consent, said again with another age, correct it."""

from bot.incoming.steps import age_correction
from care.age import AgeBand
from tests.bot.incoming.steps.talk import Talk


def test_another_age_is_taken(talk: Talk) -> None:
    talk.set(asked_version=talk.rules.gate.notice.version)
    talk.answered(age_correction.decide, "同意，16岁")
    assert talk.person().age_band is AgeBand.MINOR


def test_the_same_age_and_a_plain_yes_are_words_like_others(talk: Talk) -> None:
    talk.passed_on(age_correction.decide, "同意，20岁")
    talk.passed_on(age_correction.decide, "同意")
    talk.passed_on(age_correction.decide)
