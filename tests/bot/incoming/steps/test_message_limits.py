"""So many messages a minute and a day, and no limit in danger."""

from bot.incoming.limits import Limits
from bot.incoming.receipt import Receipt
from bot.incoming.steps import message_limits
from tests.bot.incoming.steps.talk import ACTIVE, Talk


def test_one_too_many_is_said_once_and_its_words_are_not_kept(talk: Talk) -> None:
    talk.with_rules(limits=Limits(per_day=2))
    talk.rooms.heard("一", who=talk.who)
    talk.passed_on(message_limits.decide)
    talk.rooms.heard("二", who=talk.who)
    talk.answered(message_limits.decide, "三")
    assert talk.answered(message_limits.decide, "四") == Receipt()
    assert talk.owed() == [talk.words.say("limit_day")]
    assert not {"三", "四"} & set(talk.stored())


def test_danger_passes(talk: Talk) -> None:
    talk.with_rules(limits=Limits(per_minute=1))
    talk.rooms.heard("一", who=talk.who)
    talk.passed_on(message_limits.decide, ACTIVE)


def test_words_to_a_human_pass(talk: Talk) -> None:
    talk.with_rules(limits=Limits(per_minute=1))
    talk.rooms.heard("一", who=talk.who)
    talk.taken_over()
    talk.passed_on(message_limits.decide)
