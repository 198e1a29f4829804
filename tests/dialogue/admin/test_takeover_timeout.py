"""Nobody is left waiting for a human who has forgotten them."""

import pytest
from sqlalchemy import update

from dialogue.admin import audit, takeover
from dialogue.admin.office import Actor, Office
from dialogue.admin.takeover_timeout import TakeoverTimeout
from dialogue.core.people import locked as locked_person
from dialogue.tables import Person
from tests.builders import Rooms, message
from tests.dialogue.admin.conftest import BOSS, COLLEAGUE
from tests.dialogue.admin.test_takeover import PERSON, owed_to, say, take


@pytest.fixture
def timeout(rooms: Rooms, office: Office) -> TakeoverTimeout:
    return TakeoverTimeout(database=rooms.database, office=office, minutes=20, clock=rooms.clock)


def write(rooms: Rooms, text: str) -> None:
    """In a conversation that a human holds: no turn."""
    from dialogue.core import conversations, intake

    said = message(text)
    with rooms.database.begin() as session:
        person = locked_person(session, rooms.keys, channel="test", user_id="小王", now=rooms.clock())
        conversation_id = conversations.find_open(session, said.address)
        intake.store(session, person, said, text=text, conversation_id=conversation_id, now=rooms.clock())


def is_held(rooms: Rooms, boss: Actor) -> bool:
    with rooms.database.read() as session:
        return bool(takeover.held_by(session, boss.name))


def test_a_human_who_never_says_a_word_is_relieved_and_all_are_told(
    rooms: Rooms, office: Office, boss: Actor, timeout: TakeoverTimeout
) -> None:
    conversation_id = rooms.heard().conversation_id
    take(rooms, office, conversation_id, boss)
    rooms.clock.tick(19 * 60)
    timeout.end_forgotten()
    assert is_held(rooms, boss)
    rooms.clock.tick(60)
    timeout.end_forgotten()
    timeout.end_forgotten()
    assert not is_held(rooms, boss)
    assert owed_to(rooms, PERSON)[-1].text == office.texts.say("takeover_ends")
    assert any("20 分钟" in text.text for text in owed_to(rooms, COLLEAGUE))
    assert any("接手已经结束" in text.text for text in owed_to(rooms, BOSS))
    with rooms.database.read() as session:
        newest, *_ = audit.entries(session, conversation_id=conversation_id)
    assert (newest.actor, newest.action, newest.reason) == ("patience", "release", "no answer for 20 minutes")


def test_a_pause_of_the_persons_own_is_no_neglect_but_an_unanswered_word_is(
    rooms: Rooms, office: Office, boss: Actor, timeout: TakeoverTimeout
) -> None:
    conversation_id = rooms.heard().conversation_id
    take(rooms, office, conversation_id, boss)
    rooms.clock.tick(60)
    say(rooms, office, conversation_id, "慢慢来", boss)
    rooms.clock.tick(3600)
    timeout.end_forgotten()
    assert is_held(rooms, boss)
    write(rooms, "我在想")
    rooms.clock.tick(19 * 60)
    write(rooms, "在吗")
    timeout.end_forgotten()
    assert is_held(rooms, boss)
    rooms.clock.tick(60)
    timeout.end_forgotten()
    assert not is_held(rooms, boss)


def test_a_key_that_cannot_be_opened_leaves_nobody_else_with_who_forgot_them(
    rooms: Rooms, office: Office, boss: Actor, timeout: TakeoverTimeout
) -> None:
    """A process that still has the old key, while keys are rotated."""
    for who in ("小王", "小李"):
        take(rooms, office, rooms.heard(who=who).conversation_id, boss)
    with rooms.database.begin() as session:
        session.execute(update(Person).where(Person.user_id == "小王").values(data_key=b"of another key" * 4))
    rooms.clock.tick(20 * 60)
    timeout.end_forgotten()
    with rooms.database.read() as session:
        assert len(takeover.held_by(session, boss.name)) == 1
