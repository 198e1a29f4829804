"""Whom to call is kept, shown and removed, in private."""

from dataclasses import replace

from bot.incoming.steps import emergency_contact
from tests.bot.incoming.steps.talk import Talk


def test_it_is_kept_shown_and_removed(talk: Talk) -> None:
    for said in ("/contact 妈妈 13800000000", "/contact", "/contact 删除", "/contact"):
        talk.answered(emergency_contact.decide, said)
    kept, shown, removed, asked = talk.owed()
    assert kept == talk.words.say("rights_contact_kept")
    assert "13800000000" in shown
    assert removed == talk.words.say("rights_contact_removed")
    assert "13800000000" not in asked
    assert set(talk.stored()) == {"CONTACT"}


def test_one_that_is_too_long_is_not_kept(talk: Talk) -> None:
    talk.with_rules(max_message_length=1000)
    talk.answered(emergency_contact.decide, "/contact " + "长" * 201)
    assert "200" in talk.owed()[0]


def test_in_a_group_nothing_is_shown(talk: Talk) -> None:
    talk.answered(emergency_contact.decide, replace(talk.message("/contact"), is_private=False))
    assert talk.owed() == [talk.words.say("rights_in_private")]


def test_other_words_pass(talk: Talk) -> None:
    talk.passed_on(emergency_contact.decide)
