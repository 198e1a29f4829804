"""A message without words is refused."""

from bot.incoming.steps import empty
from tests.bot.incoming.steps.talk import Talk


def test_nothing_but_spaces_is_refused_and_not_kept(talk: Talk) -> None:
    talk.answered(empty.decide, " \n ")
    assert talk.owed() == [talk.words.say("error_empty")]
    assert talk.stored() == [""]


def test_words_and_long_words_pass(talk: Talk) -> None:
    talk.passed_on(empty.decide)
    talk.passed_on(empty.decide, "长" * 101)
