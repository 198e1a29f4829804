"""Somebody else's words beside a person's own: marked for the model, no command and no consent of theirs."""

from dataclasses import replace

import pytest

from bot.incoming import decisions
from bot.incoming.receipt import Receipt
from bot.incoming.situation import NotText, Outcome, Situation
from care.screening import Route, Tier
from dialogue.core.commands import Command
from dialogue.core.quotations import own_words
from tests.bot.incoming.steps.talk import ACUTE, Talk


def _said(talk: Talk, text: str, **cited: str) -> Receipt:
    return talk.answered(decisions.decide, replace(talk.message(text), **cited))  # type: ignore[arg-type]  # strings


def _screened(talk: Talk, text: str, **cited: str) -> tuple[Tier, Route]:
    found = []

    def screen(situation: Situation) -> Outcome:
        found.append(situation.words.screening)
        return situation

    talk.ask(screen, replace(talk.message(text), **cited))  # type: ignore[arg-type]  # strings
    return found[0].tier, found[0].route


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
    assert _screened(talk, "", forwarded=ACUTE) == (Tier.ACUTE, Route.THIRD_PARTY)


@pytest.mark.parametrize("claim", ["这是我写的", "that's me", "就是我", "這是我自己寫的"])
def test_forwarded_words_are_somebody_elses_until_the_person_says_otherwise(talk: Talk, claim: str) -> None:
    _said(talk, "", forwarded=ACUTE)
    assert _screened(talk, "怎么办") == (Tier.NONE, Route.NONE)
    _said(talk, "怎么办")
    assert _screened(talk, claim) == (Tier.ACUTE, Route.SELF)


def test_a_comment_that_comes_before_the_forwarded_words_counts_too(talk: Talk) -> None:
    _said(talk, "这是我昨晚写的")
    assert _screened(talk, "", forwarded=ACUTE) == (Tier.ACUTE, Route.SELF)


def test_a_quote_with_the_words_that_it_is_mine_is_the_persons(talk: Talk) -> None:
    assert _screened(talk, "这是我写的", quoted=ACUTE) == (Tier.ACUTE, Route.SELF)
    assert _screened(talk, "这不是我写的", quoted=ACUTE) == (Tier.ACUTE, Route.THIRD_PARTY)


def test_danger_in_the_name_of_a_file_is_answered_and_a_calm_name_is_not(talk: Talk) -> None:
    calm = talk.answered(decisions.decide, replace(talk.message(""), beside="作业.docx"), what=NotText())
    assert calm.risk is None
    danger = talk.answered(decisions.decide, replace(talk.message(""), beside=ACUTE), what=NotText())
    assert danger.risk is not None
    assert danger.risk.is_alarm
