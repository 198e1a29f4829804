"""A child is told where to find help, and answered in danger."""

from bot.incoming.steps import too_young
from care.age import AgeBand
from dialogue.states import DeliveryKind
from tests.bot.incoming.steps.talk import ACUTE, Talk


def test_a_child_is_turned_away_and_nothing_is_kept(talk: Talk) -> None:
    talk.set(age_band=AgeBand.CHILD)
    talk.answered(too_young.decide)
    assert talk.owed() == [talk.rules.gate.say("disclosure_too_young")]
    assert talk.stored() == [None]


def test_danger_is_answered_first(talk: Talk) -> None:
    talk.set(age_band=AgeBand.CHILD)
    talk.answered(too_young.decide, ACUTE)
    assert {kind for kind, _ in talk.owed_by_kind()} == {DeliveryKind.CRISIS}


def test_everybody_else_passes(talk: Talk) -> None:
    talk.passed_on(too_young.decide)
    talk.set(age_band=AgeBand.MINOR)
    talk.passed_on(too_young.decide)
