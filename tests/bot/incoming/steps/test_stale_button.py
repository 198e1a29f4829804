"""Buttons under the notice, once somebody has agreed: the same again means nothing, another answer counts."""

import pytest

from bot.incoming import decisions
from bot.incoming.receipt import ConsentOutcome
from bot.incoming.situation import Button
from bot.incoming.steps import stale_button
from care.age import AgeBand
from care.disclosure import Answer
from tests.bot.incoming.steps.talk import Talk

YES = Button(Answer(agrees=True))


def test_a_button_that_says_the_same_again_does_nothing(talk: Talk) -> None:
    receipt = talk.answered(stale_button.decide, "", what=YES)
    assert (receipt.is_repeat, receipt.consent) == (True, ConsentOutcome.AGREED_BEFORE)
    assert talk.owed() == []


def test_before_the_consent_it_counts_and_words_always_do(talk: Talk, stranger: Talk) -> None:
    stranger.passed_on(stale_button.decide, "", what=YES)
    talk.passed_on(stale_button.decide)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(agrees=False), ConsentOutcome.DECLINED),
        (Answer(band=AgeBand.CHILD), ConsentOutcome.TOO_YOUNG),
    ],
)
def test_a_no_or_too_young_an_age_after_the_consent_counts(talk: Talk, answer: Answer, outcome: ConsentOutcome) -> None:
    waiting = talk.answered(decisions.decide)
    talk.forget_owed()
    receipt = talk.answered(decisions.decide, "", what=Button(answer))
    assert receipt.consent is outcome
    assert receipt.cancelled_turn_ids == [waiting.turn_id]
    assert len(talk.owed()) == 1
    asked_again = talk.answered(decisions.decide, "还在吗")
    assert asked_again.turn_id is None


def test_another_age_after_the_consent_counts(talk: Talk) -> None:
    receipt = talk.answered(decisions.decide, "", what=Button(Answer(agrees=True, band=AgeBand.MINOR)))
    assert receipt.consent is not ConsentOutcome.AGREED_BEFORE
    assert talk.person().age_band is AgeBand.MINOR
