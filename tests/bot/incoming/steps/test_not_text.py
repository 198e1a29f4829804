"""What cannot be read is said to be so, once in a row."""

from bot.incoming.receipt import Receipt
from bot.incoming.situation import NotText
from bot.incoming.steps import not_text
from tests.bot.incoming.steps.talk import Talk


def test_several_pictures_get_one_answer(talk: Talk) -> None:
    assert talk.answered(not_text.decide, "", what=NotText()).answered_at_once is not None
    assert talk.answered(not_text.decide, "", what=NotText()) == Receipt()
    assert talk.owed() == [talk.words.say("error_not_text")]


def test_an_admin_who_answers_is_told_that_something_came(talk: Talk) -> None:
    talk.taken_over()
    talk.answered(not_text.decide, "", what=NotText())
    assert talk.words.say("takeover_not_text") in talk.owed(to=talk.admin)[0]


def test_a_stranger_is_shown_the_notice(stranger: Talk) -> None:
    stranger.answered(not_text.decide, "", what=NotText())
    assert stranger.owed() == [stranger.rules.gate.notice.text]


def test_a_text_passes(talk: Talk) -> None:
    talk.passed_on(not_text.decide)
