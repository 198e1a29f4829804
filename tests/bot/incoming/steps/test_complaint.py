"""A complaint is kept, and admins hear that there is one."""

from bot.incoming.steps import complaint
from dialogue.rights.complaints import MAX_A_DAY
from dialogue.states import DeliveryKind
from tests.bot.incoming.steps.talk import ACUTE, Talk


def test_admins_hear_of_it_and_not_of_its_words(talk: Talk) -> None:
    talk.answered(complaint.decide, "投诉：回复太慢")
    (alert,) = talk.owed(to=talk.admin)
    assert "回复太慢" not in alert
    assert talk.owed() == [talk.words.say("rights_complaint_kept")]
    assert talk.stored() == ["COMPLAIN"]


def test_after_some_in_a_day_nobody_is_called(talk: Talk) -> None:
    for _ in range(MAX_A_DAY + 1):
        talk.answered(complaint.decide, "/complain 回复太慢")
    assert len(talk.owed(to=talk.admin)) == MAX_A_DAY
    assert talk.owed()[-1] == talk.words.say("rights_complaint_enough")


def test_danger_in_a_complaint_is_answered(talk: Talk) -> None:
    receipt = talk.answered(complaint.decide, f"投诉：{ACUTE}")
    assert receipt.risk is not None
    assert {kind for kind, _ in talk.owed_by_kind()} == {DeliveryKind.CRISIS}


def test_without_words_it_is_explained_and_other_words_pass(talk: Talk) -> None:
    talk.passed_on(complaint.decide)
    talk.answered(complaint.decide, "/complain")
    assert talk.owed(to=talk.admin) == []
