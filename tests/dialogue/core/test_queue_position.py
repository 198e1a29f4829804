from uuid import UUID

from sqlalchemy import update

from dialogue.core import outbox, people
from dialogue.core import queue_position as waiting
from dialogue.states import DeliveryState
from dialogue.tables import CONVERSATIONS, Person
from tests.builders import CHANNEL, Rooms

ME = UUID(int=7)


def line(rooms: Rooms) -> list[tuple[str, int]]:
    with rooms.database.read() as session:
        return [(one.address.chat_id, one.ahead) for one in waiting.line(session)]


def tell(rooms: Rooms, *, channel: str = CHANNEL) -> int:
    with rooms.database.begin() as session:
        now = rooms.clock()
        return waiting.tell(session, rooms.keys, channel, lambda ahead: f"前面 {ahead} 位", since=now, now=now)


def test_first_come_first_in_line(rooms: Rooms) -> None:
    for who in ("小王", "小李", "小赵"):
        rooms.heard(who=who)
    assert line(rooms) == [("小王", 0), ("小李", 1), ("小赵", 2)]


def test_who_is_being_answered_does_not_stand_in_line_whatever_they_say_meanwhile(rooms: Rooms) -> None:
    first = rooms.heard(who="小王")
    rooms.heard(who="小李")
    rooms.claimed(first.conversation_id, owner=ME)
    rooms.heard("还有一句", who="小王")
    assert line(rooms) == [("小李", 0)]


def test_in_danger_nobody_is_told_of_a_line_but_they_still_stand_in_it(rooms: Rooms) -> None:
    endangered = rooms.heard(who="小王")
    rooms.heard(who="小李")
    with rooms.database.begin() as session:
        session.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == endangered.conversation_id).values(tier=2))
    assert line(rooms) == [("小李", 1)]
    assert tell(rooms) == 1
    assert [one.address.chat_id for one in rooms.due(owner=ME)] == ["小李"]


def test_each_turn_is_told_once_and_its_reply_comes_behind(rooms: Rooms) -> None:
    received = rooms.heard()
    assert [tell(rooms), tell(rooms), tell(rooms, channel="another")] == [1, 0, 0]
    rooms.complete(rooms.claimed(received.conversation_id, owner=ME), "我在听", owner=ME)
    (notice,) = rooms.due(owner=ME)
    assert notice.text == "前面 0 位"
    assert [delivery.part for delivery in rooms.deliveries()] == [outbox.WAITING_PART, 0]


def test_who_has_not_waited_long_enough_is_not_told(rooms: Rooms) -> None:
    rooms.heard()
    rooms.clock.tick(-10)
    assert tell(rooms) == 0


def test_a_reset_takes_back_what_was_not_said_yet(rooms: Rooms) -> None:
    received = rooms.heard()
    tell(rooms)
    rooms.reset(received.conversation_id)
    assert [delivery.state for delivery in rooms.deliveries()] == [DeliveryState.DISCARDED]


def test_who_was_erased_meanwhile_is_no_trouble(rooms: Rooms) -> None:
    rooms.heard(who="小王")
    rooms.heard(who="小李")
    with rooms.database.begin() as session:
        gone = waiting.line(session)[0]
        people.set_aside(session, gone.person_id, now=rooms.clock())
    tell(rooms)
    assert [one.address.chat_id for one in rooms.due(owner=ME)] == ["小李"]


def test_a_key_that_cannot_be_opened_costs_nobody_else_their_place(rooms: Rooms) -> None:
    """A process that still has the old key, while keys are rotated."""
    for who in ("小王", "小李"):
        rooms.heard(who=who)
    with rooms.database.begin() as session:
        session.execute(update(Person).where(Person.user_id == "小王").values(data_key=b"of another key" * 4))
    assert tell(rooms) == 1
    assert [delivery.chat_id for delivery in rooms.deliveries()] == ["小李"]
