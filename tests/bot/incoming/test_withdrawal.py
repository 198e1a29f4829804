"""What was agreed to can be taken back."""

import pytest

from tests.bot.practice import Practice


def test_a_withdrawal_ends_everything_and_a_new_consent_begins_anew(practice: Practice) -> None:
    practice.agree()
    practice.say("同意用于改进")
    waiting = practice.say("我睡不着")
    practice.new_answers()
    receipt = practice.say("撤回同意")
    assert receipt.cancelled_turn_ids == [waiting.turn_id]
    assert "/delete" in practice.new_answers()[0]
    person = practice.person()
    assert (person.consent_version, person.training_consented_at) == (None, None)
    assert practice.say("你还在吗，我有点想你了").turn_id is None
    practice.say("同意")
    assert practice.say("我又来了").conversation_id != waiting.conversation_id
    assert practice.actions()[-2:] == ["consent_withdrawn", "consent"]


def test_without_a_gate_a_withdrawal_counts_all_the_same(practice: Practice) -> None:
    practice.with_gate(is_required=False)
    assert practice.say("我睡不着").turn_id is not None
    practice.say("/withdraw")
    assert practice.say("你还在吗，我有点想你了").turn_id is None
    practice.say("同意")
    assert practice.say("我又来了").turn_id is not None


@pytest.mark.parametrize(("yes", "no"), [("同意用于改进", "不同意用于改进"), ("/share yes", "/share no")])
def test_the_choice_about_training_is_off_until_it_is_made_and_can_be_taken_back(
    practice: Practice, yes: str, no: str
) -> None:
    practice.say("/share yes")
    assert practice.new_answers() == [practice.notice]
    practice.agree()
    assert practice.person().training_consented_at is None
    practice.say("/share")
    assert "现在是：不同意" in practice.new_answers()[0]
    practice.say(yes)
    assert practice.person().training_consented_at == practice.clock()
    practice.say("/share")
    assert "现在是：同意" in practice.new_answers()[1]
    practice.say(no)
    assert practice.person().training_consented_at is None
