"""Which of a platform's messages stand where no reply will come, on both databases."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import update

from dialogue.core import placeholders
from dialogue.core.placeholders import StalePlaceholder
from dialogue.states import DeliveryState
from dialogue.storage.ids import made_at
from dialogue.tables import DELIVERIES
from tests.builders import CHANNEL, Rooms

ME = UUID(int=6)


def place(rooms: Rooms, turn_id: UUID, platform_message_id: str = "7") -> None:
    with rooms.database.begin() as session:
        placeholders.note(session, turn_id, platform_message_id=platform_message_id, now=rooms.clock())


def stale(rooms: Rooms, *, after_seconds: float = -60) -> list[StalePlaceholder]:
    """Of the last minute; ids tell the time of the host, not of the test's clock."""
    made = [made_at(row.id) for row in rooms.deliveries()]
    with rooms.database.read() as session:
        return placeholders.stale(session, CHANNEL, since=max(made) + timedelta(seconds=after_seconds))


def stale_of(rooms: Rooms, turn_id: UUID) -> StalePlaceholder | None:
    with rooms.database.read() as session:
        return placeholders.stale_of(session, turn_id)


def test_one_whose_turn_was_discarded_is_found_until_it_is_taken_down(rooms: Rooms) -> None:
    heard = rooms.heard()
    place(rooms, heard.turn_id)
    assert stale(rooms) == []
    rooms.reset(heard.conversation_id)
    (placeholder,) = stale(rooms)
    assert (placeholder.platform_message_id, placeholder.address.chat_id) == ("7", "小王")
    assert stale_of(rooms, heard.turn_id) == placeholder
    assert stale(rooms, after_seconds=60) == []
    with rooms.database.begin() as session:
        placeholders.taken_down(session, placeholder.id)
    assert stale(rooms) == []
    assert stale_of(rooms, heard.turn_id) is None


def test_one_that_a_reply_replaced_or_will_replace_is_none(rooms: Rooms) -> None:
    heard = rooms.heard()
    place(rooms, heard.turn_id)
    rooms.complete(rooms.claimed(heard.conversation_id, owner=ME), owner=ME)
    assert stale(rooms) == []
    (owed,) = rooms.due(owner=ME)
    assert stale(rooms) == []
    rooms.mark_sent(owed, owner=ME)
    rooms.reset(heard.conversation_id)
    assert stale(rooms) == []


def test_one_whose_reply_was_taken_back_before_it_was_sent_is_found(rooms: Rooms) -> None:
    heard = rooms.heard()
    place(rooms, heard.turn_id)
    rooms.complete(rooms.claimed(heard.conversation_id, owner=ME), owner=ME)
    rooms.reset(heard.conversation_id)
    assert [placeholder.platform_message_id for placeholder in stale(rooms)] == ["7"]


def test_one_whose_replacement_may_have_arrived_is_left_alone(rooms: Rooms) -> None:
    heard = rooms.heard()
    place(rooms, heard.turn_id)
    rooms.complete(rooms.claimed(heard.conversation_id, owner=ME), owner=ME)
    with rooms.database.begin() as session:
        is_owed = DELIVERIES.c.state == DeliveryState.PENDING
        session.execute(update(DELIVERIES).where(is_owed).values(state=DeliveryState.FAILED, error="unknown"))
    assert stale(rooms) == []
