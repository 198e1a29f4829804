"""What cannot be read is said to be so, once in a row."""

from dataclasses import replace

from bot.incoming import decisions
from bot.incoming.receipt import Receipt
from bot.incoming.situation import NotText
from bot.incoming.steps import not_text
from dialogue.core import media_marks
from dialogue.messages import Address
from tests.bot.incoming.steps.talk import Talk
from tests.builders import CHANNEL


def test_several_pictures_get_one_answer(talk: Talk) -> None:
    assert talk.answered(not_text.decide, "", what=NotText()).answered_at_once is not None
    assert talk.answered(not_text.decide, "", what=NotText()) == Receipt()
    assert talk.owed() == [talk.words.say("error_not_text")]


def test_an_admin_who_answers_is_told_that_something_came(talk: Talk) -> None:
    talk.taken_over()
    talk.answered(not_text.decide, "", what=NotText())
    assert talk.words.say("medium_lost_no_file") in talk.owed(to=talk.admin)[0]


def test_an_admin_on_the_same_platform_sees_each_picture_once_and_the_person_is_told_so(talk: Talk) -> None:
    talk.admin = Address(channel=CHANNEL, chat_id="9")
    talk.taken_over()
    for place in ("7:1", "7:2", "7:2"):
        picture = replace(talk.message("", external_id="album"), shown_reference=place)
        talk.answered(decisions.decide, picture, what=NotText())
    relayed = talk.owed(to=talk.admin)
    seen = [reference for text in relayed if (reference := media_marks.reference_in(text))]
    assert sorted(seen) == ["7:1", "7:2"]
    assert sum(talk.words.say("takeover_shown") in text for text in relayed) == 1
    assert talk.owed() == [talk.words.say("error_not_text_but_shown")]


def test_what_a_blocked_person_shows_is_passed_on_to_nobody(talk: Talk) -> None:
    talk.admin = Address(channel=CHANNEL, chat_id="9")
    talk.taken_over()
    talk.set(blocked_at=talk.clock())
    picture = replace(talk.message("", external_id="album"), shown_reference="7:1")
    talk.answered(decisions.decide, picture, what=NotText())
    assert not any(media_marks.reference_in(text) for text in talk.owed(to=talk.admin))


def test_a_stranger_is_shown_the_notice(stranger: Talk) -> None:
    stranger.answered(not_text.decide, "", what=NotText())
    assert stranger.owed() == [stranger.rules.gate.notice.text]


def test_a_text_passes(talk: Talk) -> None:
    talk.passed_on(not_text.decide)
