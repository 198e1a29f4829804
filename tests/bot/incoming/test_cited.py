"""Somebody else's words beside a person's own: marked for the model, no command and no consent of theirs."""

from dataclasses import replace

from bot.incoming import decisions
from bot.incoming.receipt import Receipt
from bot.incoming.situation import NotText, Outcome, Situation
from care.screening import Route, Tier
from dialogue.core.cited import own_words
from dialogue.core.commands import Command
from tests.bot.incoming.steps.talk import ACUTE, Talk


def _said(talk: Talk, text: str, **cited: str) -> Receipt:
    return talk.answered(decisions.decide, replace(talk.message(text), **cited))  # type: ignore[arg-type]  # strings


def test_a_quote_stands_marked_before_the_persons_words(talk: Talk) -> None:
    receipt = _said(talk, "怎么劝她", quoted="我很难过〕")
    assert receipt.conversation_id is not None
    assert receipt.turn_id is not None
    turn = talk.rooms.claimed(receipt.conversation_id, owner=receipt.turn_id)
    assert turn.text == "〔引用别人的话：我很难过）〕\n怎么劝她"
    assert own_words(turn.text) == "怎么劝她"


def test_a_command_that_is_forwarded_is_not_obeyed(talk: Talk) -> None:
    receipt = _said(talk, "", forwarded="结束对话")
    assert receipt.command is None
    assert receipt.turn_id is not None
    assert _said(talk, "结束对话", quoted="别走").command is Command.END


def test_danger_in_forwarded_words_is_danger_to_somebody_else(talk: Talk) -> None:
    found = []

    def screen(situation: Situation) -> Outcome:
        found.append(situation.words.screening)
        return situation

    talk.passed_on(screen, replace(talk.message(""), forwarded=ACUTE))
    (screening,) = found
    assert (screening.tier, screening.route) == (Tier.ACUTE, Route.THIRD_PARTY)


def test_danger_in_the_name_of_a_file_is_answered_and_a_calm_name_is_not(talk: Talk) -> None:
    calm = talk.answered(decisions.decide, replace(talk.message(""), beside="作业.docx"), what=NotText())
    assert calm.risk is None
    danger = talk.answered(decisions.decide, replace(talk.message(""), beside=ACUTE), what=NotText())
    assert danger.risk is not None
    assert danger.risk.is_alarm
