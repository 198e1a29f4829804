"""In long use, and after a long pause, something is recalled."""

from bot.incoming.steps import reminders
from tests.bot.incoming.steps.talk import Talk


def test_after_hours_of_use_a_reminder_goes_along(talk: Talk) -> None:
    talk.been_here(125)
    assert talk.passed_on(reminders.decide).reminders == (talk.rules.gate.say("disclosure_periodic"),)


def test_after_half_a_day_another_one_does(talk: Talk) -> None:
    talk.been_here(60 * 14, silent_for=60 * 13)
    assert talk.passed_on(reminders.decide).reminders == (talk.rules.gate.say("disclosure_return"),)


def test_in_between_none_does(talk: Talk) -> None:
    talk.been_here(10)
    assert talk.passed_on(reminders.decide).reminders == ()
