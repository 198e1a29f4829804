"""The link that brought somebody is noted."""

from sqlalchemy import select

from bot.incoming.steps import source_label
from dialogue.core.referral import CAME_BY
from dialogue.tables import AuditEntry
from tests.bot.incoming.steps.talk import Talk


def labels(talk: Talk) -> list[str | None]:
    with talk.rooms.database.read() as session:
        of_theirs = AuditEntry.person_id == talk.person().id
        return list(session.scalars(select(AuditEntry.reason).where(AuditEntry.action == CAME_BY, of_theirs)))


def test_the_label_is_noted_and_the_command_goes_on(talk: Talk) -> None:
    talk.passed_on(source_label.decide, "/start campus-poster")
    assert labels(talk) == ["campus-poster"]


def test_other_commands_and_words_have_none(talk: Talk) -> None:
    talk.passed_on(source_label.decide, "/start")
    talk.passed_on(source_label.decide, "campus-poster")
    assert labels(talk) == []
