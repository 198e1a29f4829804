"""What waits for a consent, on both databases."""

from uuid import UUID

import pytest

from care.age import AgeBand
from care.visit import Visit
from dialogue.core import consent, conversations, intake, people, visits
from dialogue.core.people import KnownPerson
from dialogue.states import ClosedBy
from dialogue.tables import Message
from tests.builders import CHANNEL, Rooms, message

ME = UUID(int=4)


@pytest.fixture
def person(rooms: Rooms) -> KnownPerson:
    return known(rooms)


def known(rooms: Rooms, who: str = "小王") -> KnownPerson:
    with rooms.database.begin() as session:
        return people.locked(session, rooms.keys, channel=CHANNEL, user_id=who, now=rooms.clock())


def hold(rooms: Rooms, person: KnownPerson, text: str, *, who: str = "小王") -> UUID:
    """A message that waits; returns its id."""
    inbound, now = message(text, who=who), rooms.clock()
    with rooms.database.begin() as session:
        place = conversations.open_for(session, person, inbound.address, now=now)
        return intake.store(
            session, person, inbound, text=text, conversation_id=place, expires_at=now + consent.HOLD, now=now
        )


def held(rooms: Rooms, person: KnownPerson) -> list[str]:
    with rooms.database.begin() as session:
        return [words.text for words in consent.held(session, person, now=rooms.clock())]


def test_words_wait_in_order_and_of_very_many_the_last_twenty(rooms: Rooms, person: KnownPerson) -> None:
    for number in range(25):
        hold(rooms, person, f"第{number}句")
    assert held(rooms, person) == [f"第{number}句" for number in range(5, 25)]


def test_words_of_a_conversation_that_ended_wait_no_more(rooms: Rooms, person: KnownPerson) -> None:
    hold(rooms, person, "一")
    with rooms.database.begin() as session:
        conversations.reset_all(session, person, by=ClosedBy.PERSON, now=rooms.clock())
    assert held(rooms, person) == []


def test_released_words_are_one_turn_and_expire_no_more(rooms: Rooms, person: KnownPerson) -> None:
    ids = [hold(rooms, person, text) for text in ("一", "二")]
    with rooms.database.begin() as session:
        waiting = consent.held(session, person, now=rooms.clock())
        place = waiting[0].conversation_id
        intake.release(session, person, place, [words.message_id for words in waiting], now=rooms.clock())
    rooms.clock.tick(2 * consent.HOLD.total_seconds())
    rooms.sweep()
    assert rooms.claimed(place, owner=ME).text == "一\n二"
    with rooms.database.read() as session:
        assert all(session.get_one(Message, each).expires_at is None for each in ids)


def test_the_sweep_deletes_what_waited_too_long_and_nothing_else(rooms: Rooms, person: KnownPerson) -> None:
    old = hold(rooms, person, "旧")
    rooms.clock.tick(consent.HOLD.total_seconds() - 60)
    new = hold(rooms, person, "新")
    received = rooms.heard("别人", who="小李")
    rooms.clock.tick(60)
    rooms.sweep()
    assert held(rooms, person) == ["新"]
    with rooms.database.read() as session:
        assert session.get_one(Message, old).text is None
        assert session.get_one(Message, new).text is not None
        assert session.get_one(Message, received.message_id).text is not None


def test_a_no_deletes_what_waits_of_that_person_only(rooms: Rooms, person: KnownPerson) -> None:
    other = known(rooms, "小李")
    hold(rooms, person, "我的")
    hold(rooms, other, "别人的", who="小李")
    with rooms.database.begin() as session:
        consent.decline(session, person, now=rooms.clock())
    assert held(rooms, person) == []
    assert held(rooms, other) == ["别人的"]
    assert known(rooms).declined_at == rooms.clock()


def test_what_was_agreed_to_is_known_with_the_next_message(rooms: Rooms, person: KnownPerson) -> None:
    now = rooms.clock()
    with rooms.database.begin() as session:
        consent.ask(session, person, version="v1", now=now)
        consent.agree(session, person, version="v1", band=AgeBand.MINOR, now=now)
        consent.share(session, person, is_allowed=True, now=now)
        visits.keep(session, person.id, Visit(began_at=now, heard_at=now))
    again = known(rooms)
    assert (again.asked_version, again.consent_version, again.age_band) == ("v1", "v1", AgeBand.MINOR)
    assert again.training_consented_at == now
    assert again.visit == Visit(began_at=now, heard_at=now)
    with rooms.database.begin() as session:
        consent.withdraw(session, again, now=now)
    gone = known(rooms)
    assert (gone.consent_version, gone.training_consented_at, gone.declined_at) == (None, None, now)
