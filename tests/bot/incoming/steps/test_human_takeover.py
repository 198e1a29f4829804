"""Where a human answers the model is silent."""

from bot.incoming.steps import human_takeover
from dialogue.states import DeliveryKind
from tests.bot.incoming.steps.talk import ACUTE, Talk


def test_the_words_are_relayed(talk: Talk) -> None:
    conversation_id = talk.taken_over()
    receipt = talk.answered(human_takeover.decide)
    assert receipt.turn_id is None
    assert receipt.conversation_id == conversation_id
    (relayed,) = talk.owed(to=talk.admin)
    assert relayed.endswith("我睡不着")
    assert talk.owed() == []


def test_danger_is_still_answered_by_us(talk: Talk) -> None:
    talk.taken_over()
    talk.answered(human_takeover.decide, ACUTE)
    assert {kind for kind, _ in talk.owed_by_kind()} == {DeliveryKind.CRISIS}


def test_without_a_human_nothing_is_relayed(talk: Talk) -> None:
    talk.opened()
    talk.passed_on(human_takeover.decide)
    assert talk.owed(to=talk.admin) == []
