"""An edit replaces words that wait; answered ones are screened again."""

import pytest

from bot.incoming import decisions
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Edit
from bot.incoming.steps import edit
from dialogue.core.intake import Received
from dialogue.messages import InboundMessage
from dialogue.states import DeliveryKind
from tests.bot.incoming.steps.talk import ACTIVE, ACUTE, Talk


@pytest.fixture
def original(talk: Talk) -> InboundMessage:
    return talk.message("我睡不着", external_id=f"{talk.who}-1")


@pytest.fixture
def waiting(talk: Talk, original: InboundMessage) -> Received:
    received = talk.rooms.receive(original)
    assert received is not None
    return received


def _answer(talk: Talk, received: Received) -> None:
    turn = talk.rooms.claimed(received.conversation_id, owner=received.turn_id)
    talk.rooms.complete(turn, owner=received.turn_id)


def test_new_words_are_no_edit(talk: Talk) -> None:
    talk.passed_on(edit.decide)


def test_an_edit_of_what_never_arrived_is_new(talk: Talk) -> None:
    talk.passed_on(edit.decide, what=Edit("never seen"))


@pytest.mark.usefixtures("waiting")
def test_an_edit_that_changes_no_word_changes_nothing(talk: Talk, original: InboundMessage) -> None:
    assert talk.answered(edit.decide, "我睡不着", what=Edit(original.external_id)) == Receipt()


def test_while_words_wait_only_the_new_ones_reach_the_model(
    talk: Talk, original: InboundMessage, waiting: Received
) -> None:
    later = talk.rooms.receive(talk.message("三天了"))
    for text in ("我睡不好", "我睡得不好"):
        receipt = talk.answered(decisions.decide, text, what=Edit(original.external_id))
        assert receipt.turn_id == waiting.turn_id
    assert later is not None
    turn = talk.rooms.claimed(waiting.conversation_id, owner=waiting.turn_id)
    assert turn.text == "我睡得不好\n三天了"


def test_while_a_reply_is_generated_it_is_begun_anew(talk: Talk, original: InboundMessage, waiting: Received) -> None:
    old = talk.rooms.claimed(waiting.conversation_id, owner=waiting.turn_id)
    receipt = talk.answered(decisions.decide, "我睡不好", what=Edit(original.external_id))
    assert receipt.cancelled_turn_ids == [old.id]
    assert talk.rooms.complete(old, "太迟了", owner=waiting.turn_id) is None
    new = talk.rooms.claimed(waiting.conversation_id, owner=waiting.turn_id)
    assert (new.id, new.text) == (receipt.turn_id, "我睡不好")


def test_calm_words_in_the_place_of_answered_ones_change_nothing(
    talk: Talk, original: InboundMessage, waiting: Received
) -> None:
    _answer(talk, waiting)
    talk.forget_owed()
    assert talk.answered(edit.decide, "我睡不好", what=Edit(original.external_id)) == Receipt()
    assert talk.owed() == []


@pytest.mark.parametrize("words", [ACUTE, ACTIVE, "今天还行。其实我已经写好遗书，今晚就跳楼"])
def test_danger_in_the_place_of_answered_words_is_answered_by_us_and_told(
    talk: Talk, original: InboundMessage, waiting: Received, words: str
) -> None:
    _answer(talk, waiting)
    talk.forget_owed()
    receipt = talk.answered(decisions.decide, words, what=Edit(original.external_id))
    assert receipt.turn_id is None
    assert receipt.risk is not None
    assert receipt.risk.is_alarm
    assert {kind for kind, _ in talk.owed_by_kind()} == {DeliveryKind.CRISIS}
    assert talk.stored()[-1] == words


def test_an_edit_of_words_that_wait_for_a_consent_replaces_them(stranger: Talk) -> None:
    original = stranger.message("我睡不着", external_id=f"{stranger.who}-1")
    stranger.answered(decisions.decide, original)
    stranger.answered(decisions.decide, "我睡不好", what=Edit(original.external_id))
    assert [text for text in stranger.stored() if text is not None] == ["我睡不好"]


def test_a_human_who_answers_here_reads_the_edit(talk: Talk) -> None:
    talk.taken_over()
    original = talk.message("我睡不着", external_id=f"{talk.who}-1")
    talk.answered(decisions.decide, original)
    talk.forget_owed()
    talk.answered(decisions.decide, "我三天没睡", what=Edit(original.external_id))
    assert any("我三天没睡" in text for text in talk.owed(to=talk.admin))
