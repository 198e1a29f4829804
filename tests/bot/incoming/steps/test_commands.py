"""Commands are answered here and now."""

import pytest

from bot.incoming.steps import commands
from dialogue.core.commands import Command
from dialogue.states import ClosedBy
from tests.bot.incoming.steps.talk import Talk


@pytest.mark.parametrize("said", ["/help", "/privacy", "/delete", "/share", "/nothing_like_that", "/start"])
def test_each_has_an_answer_and_no_turn(talk: Talk, said: str) -> None:
    receipt = talk.answered(commands.decide, said)
    assert receipt.turn_id is None
    assert len(talk.owed()) == 1


@pytest.mark.parametrize("said", ["结束对话", "/reset"])
def test_the_end_discards_what_waits(talk: Talk, said: str) -> None:
    heard = talk.rooms.heard("我睡不着", who=talk.who)
    receipt = talk.answered(commands.decide, said)
    assert receipt.cancelled_turn_ids == [heard.turn_id]
    assert talk.rooms.conversation(heard.conversation_id).closed_by is ClosedBy.PERSON


def test_a_human_who_answers_hears_of_the_end(talk: Talk) -> None:
    talk.taken_over()
    talk.answered(commands.decide, "结束对话")
    assert len(talk.owed(to=talk.admin)) == 1


def test_a_withdrawal_ends_everything(talk: Talk) -> None:
    heard = talk.rooms.heard("我睡不着", who=talk.who)
    assert talk.answered(commands.decide, "撤回同意").command is Command.WITHDRAW
    assert talk.person().consent_version is None
    assert talk.rooms.conversation(heard.conversation_id).closed_at is not None


def test_training_is_a_choice_of_its_own(talk: Talk) -> None:
    talk.answered(commands.decide, "同意用于改进")
    assert talk.person().training_consented_at is not None
    talk.answered(commands.decide, "不同意用于改进")
    assert talk.person().training_consented_at is None


def test_words_pass(talk: Talk) -> None:
    talk.passed_on(commands.decide)
