"""The first reply of a day says that a machine wrote it."""

from dataclasses import replace

from bot.incoming.steps import ai_label
from tests.bot.incoming.steps.talk import Talk


def test_it_goes_along_once_a_day(talk: Talk) -> None:
    talk.set(labelled_at=None)
    assert talk.passed_on(ai_label.decide).label == talk.rules.gate.say("disclosure_label")
    talk.set(labelled_at=talk.clock())
    assert talk.passed_on(ai_label.decide).label is None


def test_an_operator_may_do_without(talk: Talk) -> None:
    talk.set(labelled_at=None)
    talk.with_rules(gate=replace(talk.rules.gate, is_labelling=False))
    assert talk.passed_on(ai_label.decide).label is None
