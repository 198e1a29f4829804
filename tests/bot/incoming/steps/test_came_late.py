"""Words from before we could hear are kept, and answered by a sentence of ours."""

from dataclasses import replace
from datetime import timedelta

from bot.incoming.steps import came_late
from dialogue.messages import InboundMessage
from tests.bot.incoming.steps.talk import ACUTE, Talk


def late(talk: Talk, text: str = "昨天很难过") -> InboundMessage:
    return replace(talk.message(text), sent_at=talk.clock() - timedelta(days=1), is_late=True)


def test_they_are_kept_and_answered_once(talk: Talk) -> None:
    assert talk.answered(came_late.decide, late(talk)).turn_id is None
    talk.answered(came_late.decide, late(talk, "你在吗"))
    assert talk.owed() == [talk.words.say("came_late")]


def test_danger_in_them_is_left_to_those_who_answer_it(talk: Talk) -> None:
    talk.passed_on(came_late.decide, late(talk, ACUTE))


def test_what_is_not_late_is_passed_on(talk: Talk) -> None:
    talk.passed_on(came_late.decide)
