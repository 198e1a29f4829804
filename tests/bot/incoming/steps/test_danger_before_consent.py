"""Danger needs no consent."""

from bot.incoming.steps import danger_before_consent
from dialogue.states import DeliveryKind
from tests.bot.incoming.steps.talk import ACTIVE, ACUTE, Talk


def test_a_stranger_in_danger_is_answered_and_admins_hear_of_it(stranger: Talk) -> None:
    receipt = stranger.answered(danger_before_consent.decide, ACUTE)
    assert receipt.turn_id is None
    assert receipt.risk is not None
    assert receipt.risk.is_alarm
    assert {kind for kind, _ in stranger.owed_by_kind()} == {DeliveryKind.CRISIS}
    assert len(stranger.owed(to=stranger.admin)) == 1


def test_danger_of_before_is_not_forgotten(stranger: Talk) -> None:
    stranger.in_danger()
    stranger.answered(danger_before_consent.decide, "嗯")
    assert stranger.owed() != []


def test_a_human_who_came_to_help_hears_them(stranger: Talk) -> None:
    stranger.taken_over()
    stranger.answered(danger_before_consent.decide, ACTIVE)
    assert any(ACTIVE in text for text in stranger.owed(to=stranger.admin))


def test_calm_words_and_people_who_agreed_pass(stranger: Talk, talk: Talk) -> None:
    stranger.passed_on(danger_before_consent.decide)
    talk.passed_on(danger_before_consent.decide, ACUTE)
