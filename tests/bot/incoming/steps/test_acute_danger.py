"""In acute danger our words are all that is said."""

from bot.incoming.steps import acute_danger
from care.screening import Tier
from dialogue.states import DeliveryKind, TurnState
from tests.bot.incoming.steps.talk import ACTIVE, ACUTE, Talk


def test_the_model_is_silenced_and_admins_hear_of_it(talk: Talk) -> None:
    heard = talk.rooms.heard("我睡不着", who=talk.who)
    receipt = talk.answered(acute_danger.decide, ACUTE)
    assert receipt.cancelled_turn_ids == [heard.turn_id]
    assert talk.rooms.turn(heard.turn_id).state is TurnState.DISCARDED
    assert {kind for kind, _ in talk.owed_by_kind()} == {DeliveryKind.CRISIS}
    assert len(talk.owed(to=talk.admin)) == 1


def test_lesser_danger_goes_on_to_the_model_and_is_kept(talk: Talk) -> None:
    passed = talk.passed_on(acute_danger.decide, ACTIVE)
    assert passed.course.tier is Tier.ACTIVE
    assert passed.assessed.raises_alarm
    assert talk.passed_on(acute_danger.decide, "嗯").course.tier is Tier.ACTIVE


def test_calm_words_open_a_conversation_and_pass(talk: Talk) -> None:
    passed = talk.passed_on(acute_danger.decide)
    assert passed.conversation is not None
    assert passed.assessed.scripts == ()
