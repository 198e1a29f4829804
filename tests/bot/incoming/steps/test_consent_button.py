"""The buttons under the notice say what the words say."""

from bot.incoming.situation import Button
from bot.incoming.steps import consent_button
from care.age import AgeBand
from care.disclosure import Answer
from tests.bot.incoming.steps.talk import Talk


def test_a_yes_to_a_notice_that_was_seen_is_a_consent(stranger: Talk) -> None:
    version = stranger.rules.gate.notice.version
    stranger.set(asked_version=version)
    stranger.answered(consent_button.decide, "", what=Button(Answer(agrees=True, band=AgeBand.ADULT)))
    assert stranger.person().consent_version == version
    assert stranger.person().age_band is AgeBand.ADULT


def test_a_no_is_kept_too(stranger: Talk) -> None:
    stranger.answered(consent_button.decide, "", what=Button(Answer(agrees=False)))
    assert stranger.person().declined_at is not None
    assert stranger.owed() == [stranger.rules.gate.say("disclosure_declined")]


def test_words_are_no_button(stranger: Talk) -> None:
    stranger.passed_on(consent_button.decide, "同意")
