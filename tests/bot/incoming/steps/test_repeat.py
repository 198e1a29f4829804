"""A message counts once, however often the platform delivers it."""

from bot.incoming.steps import repeat
from tests.bot.incoming.steps.talk import Talk


def test_what_was_stored_is_a_repeat(talk: Talk) -> None:
    first = talk.message(external_id=talk.who)
    talk.passed_on(repeat.decide, first)
    talk.rooms.receive(first)
    assert talk.answered(repeat.decide, first).is_repeat


def test_the_same_words_in_another_message_are_none(talk: Talk) -> None:
    talk.rooms.receive(talk.message("你好"))
    talk.passed_on(repeat.decide, "你好")
