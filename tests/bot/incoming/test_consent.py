"""Nobody's words are kept or answered before they agreed."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from bot.incoming.situation import Edit, NotText
from care.age import AgeBand
from care.disclosure import Answer
from dialogue.core import consent
from dialogue.tables import Conversation, Message, Person
from dialogue.upkeep.housekeeper import Housekeeper
from tests.bot.practice import Practice
from tests.builders import message


def test_the_first_words_are_answered_by_the_notice_and_not_by_the_model(practice: Practice) -> None:
    receipt = practice.say("我睡不着")
    assert receipt.turn_id is None
    assert practice.new_answers() == [practice.notice]


def test_what_was_said_before_is_answered_after_the_consent_in_order(practice: Practice) -> None:
    for text in ("我睡不着", "白天也没有精神", "怎么办"):
        practice.say(text)
        practice.clock.tick(1)
    assert practice.new_answers() == [practice.notice]
    receipt = practice.say("同意")
    assert receipt.turn_id is not None
    assert practice.new_answers() == [practice.words.say("disclosure_agreed_held")]
    assert practice.answer_all() == ["我睡不着\n白天也没有精神\n怎么办"]
    practice.say("谢谢你")
    assert practice.answer_all() == ["谢谢你"]


def test_the_version_and_the_time_of_a_consent_are_kept(practice: Practice) -> None:
    practice.agree()
    person = practice.person()
    assert person.consent_version == practice.inbox.rules.gate.notice.version
    assert person.consented_at == practice.clock()
    assert person.age_band is AgeBand.ADULT
    assert practice.actions() == ["consent"]


def test_words_that_wait_are_sealed_and_go_after_a_day(practice: Practice, tmp_path: Path) -> None:
    practice.say("谁也不许看见的话")
    assert practice.stored_texts() == 1
    assert all("谁也不许看见的话".encode() not in file.read_bytes() for file in tmp_path.glob("bot.db*"))
    practice.clock.tick(consent.HOLD.total_seconds() - 1)
    practice.rooms.sweep()
    assert practice.stored_texts() == 1
    practice.clock.tick(1)
    practice.rooms.sweep()
    assert practice.stored_texts() == 0
    practice.new_answers()
    assert practice.say("同意").turn_id is None
    assert practice.new_answers() == [practice.words.say("disclosure_agreed")]


def test_a_yes_that_is_none_is_answered_at_once_and_is_no_consent(practice: Practice) -> None:
    practice.say("我睡不着")
    practice.new_answers()
    assert practice.say("好的").turn_id is None
    (question,) = practice.new_answers()
    assert "“同意”" in question
    assert practice.person().consent_version is None


def test_who_goes_on_writing_is_not_asked_after_every_sentence(practice: Practice) -> None:
    practice.say("我睡不着，已经三天了")
    practice.new_answers()
    practice.say("白天也没有一点精神")
    assert practice.new_answers() == []
    practice.clock.tick(61)
    practice.say("我说的话有人在看吗，还是没有")
    assert len(practice.new_answers()) == 1


def test_a_consent_to_words_that_they_never_saw_is_none(practice: Practice) -> None:
    practice.say("同意")
    assert practice.new_answers() == [practice.notice]
    assert practice.person().consent_version is None


def test_a_start_shows_the_notice_again(practice: Practice) -> None:
    practice.say("/start")
    practice.say("/start")
    assert practice.new_answers() == [practice.notice, practice.notice]
    practice.say("/help")
    assert "/reset" in practice.new_answers()[0]


def test_declining_brings_the_hotlines_and_a_goodbye_and_leaves_nothing(practice: Practice) -> None:
    practice.say("我睡不着")
    practice.new_answers()
    practice.say("不同意")
    (goodbye,) = practice.new_answers()
    assert "12356" in goodbye
    assert practice.stored_texts() == 0
    assert practice.say("你还在吗，我想和你说说话").turn_id is None
    assert practice.stored_texts() == 0
    assert "改变主意" in practice.new_answers()[0]
    practice.say("同意")
    assert practice.say("我睡不着").turn_id is not None


def test_who_answers_here_is_told_before_the_question(practice: Practice) -> None:
    practice.say("你是真人吗")
    truth, question = practice.new_answers()
    assert "不是真人" in truth
    assert question == practice.notice


def test_a_changed_notice_asks_again_and_loses_nothing(practice: Practice) -> None:
    practice.agree()
    practice.with_gate(retention_days=60)
    assert practice.say("我又睡不着了").turn_id is None
    (question,) = practice.new_answers()
    assert "更新" in question
    assert practice.notice in question
    assert practice.say("同意").turn_id is not None
    assert practice.answer_all() == ["我又睡不着了"]


def test_an_edit_of_words_that_wait_replaces_them(practice: Practice) -> None:
    practice.say("我睡不", external_id="1")
    edited = message("我睡不着", external_id="1:edit")
    practice.inbox.decide_blocking(Edit("1"), edited)
    practice.say("同意")
    assert practice.answer_all() == ["我睡不着"]


@pytest.mark.parametrize(
    ("answer", "band"),
    [
        (Answer(agrees=True, band=AgeBand.ADULT), AgeBand.ADULT),
        (Answer(agrees=True, band=AgeBand.MINOR), AgeBand.MINOR),
    ],
)
async def test_a_button_agrees_once_however_often_it_is_pressed(
    practice: Practice, answer: Answer, band: AgeBand
) -> None:
    practice.say("我睡不着")
    practice.new_answers()
    receipt = await practice.inbox.choose(message("", external_id="p1"), answer)
    assert receipt.turn_id is not None
    again = await practice.inbox.choose(message("", external_id="p2"), answer)
    assert again.is_repeat
    assert practice.person().age_band is band
    assert practice.answer_all() == ["我睡不着"]


def test_what_is_no_text_is_answered_by_the_notice(practice: Practice) -> None:
    practice.inbox.decide_blocking(NotText(), message(""))
    assert practice.new_answers() == [practice.notice]


def test_a_person_who_agreed_costs_no_query_of_its_own(practice: Practice) -> None:
    practice.agree()
    practice.say("我睡不着")
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(practice.services.database.engine, "before_cursor_execute", note)
    practice.say("我还是睡不着")
    read = [set(re.findall(r"FROM (\w+)", each)) for each in statements if each.startswith("SELECT")]
    assert read == [{"people", "messages"}, {"conversations", "messages"}, {"turns"}]
    assert [statement.split()[2] for statement in statements if statement.startswith("INSERT")] == ["messages"]
    assert not [statement for statement in statements if statement.startswith("UPDATE")]


def test_of_who_never_answers_nothing_is_left_in_the_end(practice: Practice) -> None:
    practice.say("我睡不着")
    practice.say("/help")
    practice.new_answers()
    keeper = Housekeeper(database=practice.services.database, retention_days=30, clock=practice.clock)
    for _ in range(2):
        practice.clock.tick(31 * 86400)
        practice.rooms.sweep()
        keeper.keep()
    with practice.services.database.read() as session:
        assert [session.scalars(select(table)).all() for table in (Person, Message, Conversation)] == [[], [], []]
    practice.say("我又来了")
    assert practice.new_answers() == [practice.notice]
