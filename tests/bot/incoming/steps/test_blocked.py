"""Those who are kept out are told so once a day, and answered in danger."""

from datetime import timedelta

from bot.incoming.limits import Limits
from bot.incoming.receipt import Receipt
from bot.incoming.steps import blocked
from dialogue.messages import Address
from dialogue.states import DeliveryKind
from tests.bot.incoming.steps.talk import ACTIVE, Talk


def test_a_blocked_person_is_told_so_once_a_day(talk: Talk) -> None:
    talk.set(blocked_at=talk.clock())
    assert talk.answered(blocked.decide).answered_at_once is not None
    assert talk.answered(blocked.decide) == Receipt()
    assert "12356" in talk.owed()[0]
    talk.clock.tick(timedelta(days=1).total_seconds() + 1)
    assert talk.answered(blocked.decide).answered_at_once is not None
    assert "我睡不着" not in talk.stored()


def test_danger_is_answered_all_the_same_and_their_rights_stay_theirs(talk: Talk) -> None:
    talk.set(blocked_at=talk.clock())
    talk.passed_on(blocked.decide, "/export")
    assert talk.answered(blocked.decide, ACTIVE).risk is not None
    assert {kind for kind, _ in talk.owed_by_kind()} == {DeliveryKind.CRISIS}


def test_who_was_not_invited_is_kept_out_too(talk: Talk) -> None:
    talk.with_rules(limits=Limits(invited=frozenset({Address(channel="test", chat_id="somebody else")})))
    assert talk.answered(blocked.decide).answered_at_once is not None


def test_everybody_else_passes(talk: Talk) -> None:
    talk.passed_on(blocked.decide)
