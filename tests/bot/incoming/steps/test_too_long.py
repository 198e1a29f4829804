"""A message that is too long is refused, but not overheard."""

from bot.incoming.steps import too_long
from dialogue.states import DeliveryKind
from tests.bot.incoming.steps.talk import ACUTE, Talk


def test_its_length_and_the_limit_are_said(talk: Talk) -> None:
    receipt = talk.answered(too_long.decide, "长" * 101)
    assert receipt.turn_id is None
    assert talk.owed() == [talk.words.say("error_too_long", length=101, max_length=100)]


def test_danger_at_its_end_is_answered(talk: Talk) -> None:
    receipt = talk.answered(too_long.decide, "长" * 200 + ACUTE)
    assert receipt.risk is not None
    assert receipt.risk.is_alarm
    assert {kind for kind, _ in talk.owed_by_kind()} == {DeliveryKind.CRISIS}
    assert "101" not in talk.owed()[0]


def test_a_hundred_characters_pass(talk: Talk) -> None:
    talk.passed_on(too_long.decide, "长" * 100)
