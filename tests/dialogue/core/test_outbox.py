from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import event, select

from dialogue.core import outbox, people, sending
from dialogue.core.sending import SentText, back_off_seconds
from dialogue.messages import Address
from dialogue.states import DeliveryKind, DeliveryState
from dialogue.tables import Delivery, Person
from tests.builders import CHANNEL, Rooms

ME, OTHER = uuid4(), uuid4()


def owe(rooms: Rooms, text: str, *, kind: DeliveryKind = DeliveryKind.NOTICE, who: str = "小王") -> None:
    rooms.heard("开场", who=who)
    with rooms.database.begin() as session:
        person = session.scalars(select(Person).where(Person.user_id == who)).one()
        outbox.owe(
            session,
            people.key_of(session, rooms.keys, person.id),
            person_id=person.id,
            address=Address(channel=CHANNEL, chat_id=who),
            text=text,
            kind=kind,
            conversation_id=None,
            now=rooms.clock(),
        )


def test_what_is_owed_is_claimed_once(rooms: Rooms) -> None:
    owe(rooms, "一")
    assert [text.text for text in rooms.due(owner=ME)] == ["一"]
    assert rooms.due(owner=OTHER) == []


def test_of_ten_couriers_one_gets_each_text(rooms: Rooms) -> None:
    for number in range(5):
        owe(rooms, f"{number}", who=f"人{number}")
    with ThreadPoolExecutor(10) as pool:
        claimed = [text.text for texts in pool.map(lambda _: rooms.due(owner=uuid4()), range(10)) for text in texts]
    assert sorted(claimed) == ["0", "1", "2", "3", "4"]


def test_one_address_gets_its_texts_one_after_the_other(rooms: Rooms) -> None:
    owe(rooms, "一")
    owe(rooms, "二")
    owe(rooms, "别人的", who="小李")
    first, others = rooms.due(owner=ME)
    assert (first.text, others.text) == ("一", "别人的")
    assert rooms.due(owner=OTHER) == []
    with rooms.database.begin() as session:
        sending.mark_sent(session, first.id, owner=ME, platform_message_id="7", now=rooms.clock())
    assert [text.text for text in rooms.due(owner=OTHER)] == ["二"]


def test_texts_that_were_sent_together_are_marked_in_one_statement(rooms: Rooms) -> None:
    for who in ("小王", "小李", "小赵"):
        owe(rooms, "一", who=who)
    taken = [
        SentText(delivery_id=one.id, platform_message_id="7", sent_at=rooms.clock()) for one in rooms.due(owner=ME)
    ]
    statements: list[str] = []
    event.listen(rooms.database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    with rooms.database.begin() as session:
        sending.mark_all_sent(session, taken, owner=ME)
        sending.mark_all_sent(session, [], owner=ME)
    assert len([each for each in statements if each.startswith("UPDATE")]) == 1
    with rooms.database.read() as session:
        assert set(session.scalars(select(Delivery.state))) == {DeliveryState.SENT}


def test_a_text_that_is_put_off_holds_back_the_later_ones(rooms: Rooms) -> None:
    owe(rooms, "一")
    owe(rooms, "二")
    (first,) = rooms.due(owner=ME)
    with rooms.database.begin() as session:
        sending.put_off(session, first.id, owner=ME, until=rooms.clock() + timedelta(seconds=30))
    assert rooms.due(owner=ME) == []
    rooms.clock.tick(30)
    (again,) = rooms.due(owner=ME)
    assert (again.text, again.attempt) == ("一", 2)


def test_a_refused_text_makes_way_for_the_next(rooms: Rooms) -> None:
    owe(rooms, "一")
    owe(rooms, "二")
    (first,) = rooms.due(owner=ME)
    with rooms.database.begin() as session:
        sending.mark_failed(session, first.id, owner=ME, error="blocked")
    assert [text.text for text in rooms.due(owner=ME)] == ["二"]


def test_ordinary_words_whose_courier_died_are_not_said_twice(rooms: Rooms) -> None:
    owe(rooms, "普通的话")
    rooms.due(owner=ME)
    rooms.clock.tick(61)
    assert rooms.sweep().abandoned_count == 1
    (delivery,) = rooms.deliveries()
    assert (delivery.state, delivery.error) == (DeliveryState.FAILED, sending.UNKNOWN)
    assert rooms.due(owner=OTHER) == []


def test_words_that_must_arrive_are_rather_said_twice(rooms: Rooms) -> None:
    owe(rooms, "请拨打", kind=DeliveryKind.CRISIS)
    rooms.due(owner=ME)
    rooms.clock.tick(61)
    rooms.sweep()
    assert [text.text for text in rooms.due(owner=OTHER)] == ["请拨打"]


def test_a_courier_that_is_too_late_changes_nothing(rooms: Rooms) -> None:
    owe(rooms, "请拨打", kind=DeliveryKind.CRISIS)
    (text,) = rooms.due(owner=ME)
    rooms.clock.tick(61)
    rooms.sweep()
    rooms.due(owner=OTHER)
    with rooms.database.begin() as session:
        sending.mark_failed(session, text.id, owner=ME, error="late")
    assert [delivery.state for delivery in rooms.deliveries()] == [DeliveryState.SENDING]


def test_one_chat_can_be_served_alone(rooms: Rooms) -> None:
    owe(rooms, "一", who="小王")
    owe(rooms, "二", who="小李")
    assert [text.text for text in rooms.due(owner=ME, chat_id="小李")] == ["二"]


def test_back_off_doubles_and_ends_somewhere() -> None:
    assert [back_off_seconds(attempt, max_seconds=300) for attempt in (1, 2, 3, 30, 5000)] == [1, 2, 4, 300, 300]
