"""An edit counts only while the original waits."""

from bot.incoming.receipt import Receipt
from bot.incoming.situation import Edit
from bot.incoming.steps import edit_of_answered
from tests.bot.incoming.steps.talk import Talk


def test_words_that_wait_may_be_changed_and_answered_ones_may_not(talk: Talk) -> None:
    original = talk.message("我睡不着", external_id=f"{talk.who}-1")
    received = talk.rooms.receive(original)
    assert received is not None
    talk.passed_on(edit_of_answered.decide, "我睡不好", what=Edit(original.external_id))
    turn = talk.rooms.claimed(received.conversation_id, owner=received.turn_id)
    talk.rooms.complete(turn, owner=received.turn_id)
    assert talk.answered(edit_of_answered.decide, "我睡不好", what=Edit(original.external_id)) == Receipt()


def test_new_words_are_no_edit(talk: Talk) -> None:
    talk.passed_on(edit_of_answered.decide)


def test_an_edit_of_what_never_arrived_is_new(talk: Talk) -> None:
    talk.passed_on(edit_of_answered.decide, what=Edit("never seen"))
