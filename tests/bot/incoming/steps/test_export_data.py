"""A copy of their data is owed once, and in private only."""

from dataclasses import replace

from bot.incoming.steps import export_data
from dialogue.states import DeliveryKind
from tests.bot.incoming.steps.talk import Talk


def test_the_files_are_owed_without_a_text(talk: Talk) -> None:
    talk.answered(export_data.decide, "/export")
    assert talk.owed_by_kind() == [(DeliveryKind.EXPORT, "")]


def test_a_second_request_is_told_that_they_are_coming(talk: Talk) -> None:
    talk.answered(export_data.decide, "导出我的数据")
    talk.answered(export_data.decide, "导出我的数据")
    assert talk.owed()[1:] == [talk.words.say("rights_export_owed")]


def test_in_a_group_nothing_is_shown(talk: Talk) -> None:
    talk.answered(export_data.decide, replace(talk.message("/export"), is_private=False))
    assert talk.owed() == [talk.words.say("rights_in_private")]


def test_other_words_pass(talk: Talk) -> None:
    talk.passed_on(export_data.decide, "/delete")
    talk.passed_on(export_data.decide)
