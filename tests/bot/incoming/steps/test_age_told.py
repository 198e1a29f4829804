"""An age that is told by the way protects."""

from bot.incoming.steps import age_told
from care.age import AgeBand
from tests.bot.incoming.steps.talk import Talk


def test_somebody_under_age_is_noted_and_told_what_follows(talk: Talk) -> None:
    passed = talk.passed_on(age_told.decide, "我今年16岁，睡不着")
    assert passed.person.age_band is talk.person().age_band is AgeBand.MINOR
    assert passed.reminders == (talk.rules.gate.say("disclosure_minor"),)


def test_a_higher_age_than_before_changes_nothing(talk: Talk) -> None:
    talk.agree(band=AgeBand.MINOR)
    for said in ("我今年30岁，睡不着", "我今年17岁，睡不着", "我睡不着"):
        passed = talk.passed_on(age_told.decide, said)
        assert passed.person.age_band is AgeBand.MINOR
        assert passed.reminders == ()
