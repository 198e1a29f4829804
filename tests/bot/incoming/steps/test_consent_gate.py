"""Before a consent words wait, and the notice is the answer."""

from bot.incoming.receipt import Receipt
from bot.incoming.steps import consent_gate
from dialogue.states import DeliveryKind
from tests.bot.incoming.steps.talk import Talk


def test_the_notice_is_shown_once_and_the_words_wait(stranger: Talk) -> None:
    stranger.answered(consent_gate.decide, "我睡不着")
    again = stranger.answered(consent_gate.decide, "真的睡不着")
    assert again == Receipt(conversation_id=again.conversation_id)
    assert stranger.owed_by_kind() == [(DeliveryKind.CONSENT, stranger.rules.gate.notice.text)]
    assert stranger.stored() == ["我睡不着", "真的睡不着"]


def test_who_declined_is_told_how_to_agree_and_nothing_is_kept(stranger: Talk) -> None:
    stranger.set(declined_at=stranger.clock())
    stranger.answered(consent_gate.decide, "我睡不着")
    assert stranger.owed() == [stranger.rules.gate.say("disclosure_declined_before")]
    assert stranger.stored() == [None]


def test_the_truth_about_us_is_said_before_the_notice(stranger: Talk) -> None:
    stranger.answered(consent_gate.decide, "你是真人吗")
    assert stranger.owed() == [stranger.rules.gate.say("identity_is_human"), stranger.rules.gate.notice.text]


def test_who_agreed_passes(talk: Talk) -> None:
    talk.passed_on(consent_gate.decide)
