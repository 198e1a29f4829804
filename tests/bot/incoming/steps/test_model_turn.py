"""Words join the waiting turn, or open the next."""

from dataclasses import replace

from bot.incoming.situation import Outcome, Situation
from bot.incoming.steps import acute_danger, model_turn
from dialogue.states import DeliveryKind
from tests.bot.incoming.steps.talk import ACTIVE, Talk


def ask_model(situation: Situation) -> Outcome:
    """With all that may go along."""
    passed = acute_danger.decide(replace(situation, preface="真话", reminders=("提醒",), label="标签"))
    assert isinstance(passed, Situation)
    return model_turn.decide(passed)


def test_two_messages_are_one_turn(talk: Talk) -> None:
    first, second = talk.answered(ask_model, "一"), talk.answered(ask_model, "二")
    assert first.turn_id == second.turn_id
    assert [first.is_new_turn, second.is_new_turn] == [True, False]
    assert talk.rooms.announced.rung_conversation_ids >= {first.conversation_id}


def test_the_truth_comes_first_then_reminders_and_the_label_comes_last(talk: Talk) -> None:
    receipt = talk.answered(ask_model)
    assert talk.owed_by_kind() == [(DeliveryKind.CRISIS, "真话"), (DeliveryKind.NOTICE, "提醒")]
    assert receipt.conversation_id is not None
    assert receipt.turn_id is not None
    turn = talk.rooms.claimed(receipt.conversation_id, owner=receipt.turn_id)
    talk.rooms.complete(turn, "我在听", owner=receipt.turn_id)
    assert talk.owed()[-1] == "我在听\n\n标签"
    assert talk.person().labelled_at == talk.clock()


def test_in_danger_nobody_is_reminded_of_anything(talk: Talk) -> None:
    talk.answered(ask_model, ACTIVE)
    assert "提醒" not in talk.owed()
