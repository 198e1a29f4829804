"""Buttons under the notice mean nothing once somebody has agreed."""

from bot.incoming.situation import Button
from bot.incoming.steps import stale_button
from care.disclosure import Answer
from tests.bot.incoming.steps.talk import Talk

YES = Button(Answer(agrees=True))


def test_a_button_after_the_consent_does_nothing(talk: Talk) -> None:
    assert talk.answered(stale_button.decide, "", what=YES).is_repeat
    assert talk.owed() == []


def test_before_the_consent_it_counts_and_words_always_do(talk: Talk, stranger: Talk) -> None:
    stranger.passed_on(stale_button.decide, "", what=YES)
    talk.passed_on(stale_button.decide)
