"""Everything is deleted once they said it twice."""

from sqlalchemy import func, select

from bot.incoming.steps import commands, delete_data
from dialogue.states import DeliveryKind
from dialogue.tables import Person
from tests.bot.incoming.steps.talk import Talk


def is_known(talk: Talk) -> bool:
    with talk.rooms.database.read() as session:
        return bool(session.scalar(select(func.count(Person.id)).where(Person.user_id == talk.who)))


def test_right_after_the_question_everything_goes_but_a_farewell(talk: Talk) -> None:
    talk.answered(commands.decide, "/delete")
    talk.forget_owed()
    talk.answered(delete_data.decide, "确认删除")
    assert talk.owed_by_kind() == [(DeliveryKind.FAREWELL, "")]
    assert not is_known(talk)


def test_without_the_question_nothing_happens(talk: Talk) -> None:
    talk.answered(delete_data.decide, "确认删除")
    assert is_known(talk)
    assert "删除" in talk.owed()[0]


def test_an_admin_who_answers_there_hears_of_it(talk: Talk) -> None:
    talk.taken_over()
    talk.answered(commands.decide, "/delete")
    talk.answered(delete_data.decide, "确认删除")
    assert len(talk.owed(to=talk.admin)) == 1


def test_the_question_itself_and_words_pass(talk: Talk) -> None:
    talk.passed_on(delete_data.decide, "/delete")
    talk.passed_on(delete_data.decide)
