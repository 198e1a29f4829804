"""The young begin anew after a pause."""

from bot.incoming.steps import minor_return
from care.age import AgeBand
from dialogue.states import ClosedBy
from tests.bot.incoming.steps.talk import Talk


def come_back(talk: Talk) -> None:
    talk.set(age_band=AgeBand.MINOR, labelled_at=talk.clock())
    talk.been_here(120, silent_for=60)


def test_their_conversation_ends_and_a_discarded_label_comes_again(talk: Talk) -> None:
    come_back(talk)
    heard = talk.rooms.heard("我睡不着", who=talk.who)
    passed = talk.passed_on(minor_return.decide)
    assert passed.conversation is None
    assert talk.rooms.conversation(heard.conversation_id).closed_by is ClosedBy.PAUSE
    assert passed.person.visit.labelled_at is talk.person().labelled_at is None


def test_a_conversation_of_danger_or_of_a_human_goes_on(talk: Talk) -> None:
    come_back(talk)
    talk.in_danger()
    assert talk.passed_on(minor_return.decide).conversation is not None
    talk.taken_over()
    assert talk.passed_on(minor_return.decide).conversation is not None


def test_adults_go_on(talk: Talk) -> None:
    come_back(talk)
    talk.set(age_band=AgeBand.ADULT)
    talk.opened()
    assert talk.passed_on(minor_return.decide).conversation is not None
