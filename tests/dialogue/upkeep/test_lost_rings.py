from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import select

from dialogue.errors import DatabaseUnavailable
from dialogue.states import TurnState
from dialogue.storage import schema
from dialogue.storage.database import connect
from dialogue.tables import Delivery, Turn
from tests.builders import APOLOGY, Rooms

ME = uuid4()


def test_a_turn_nobody_came_for_is_rung_again(rooms: Rooms) -> None:
    received = rooms.heard()
    assert rooms.sweep().conversation_ids == []
    rooms.clock.tick(2)
    assert rooms.sweep().conversation_ids == [received.conversation_id]
    assert rooms.sweep().conversation_ids == []


def test_rings_grow_rarer_while_nobody_comes(rooms: Rooms) -> None:
    rooms.heard()
    ring_count = 0
    for _ in range(200):
        rooms.clock.tick(1)
        ring_count += len(rooms.sweep().conversation_ids)
    assert 6 <= ring_count <= 10


def test_a_turn_that_is_being_answered_is_left_alone(rooms: Rooms) -> None:
    received = rooms.heard()
    rooms.claimed(received.conversation_id, owner=ME)
    rooms.heard("下一句")
    rooms.clock.tick(19)
    assert rooms.sweep().conversation_ids == []


def test_a_dead_workers_turn_is_rung_as_soon_as_its_lease_ends(rooms: Rooms) -> None:
    received = rooms.heard()
    rooms.clock.tick(100)  # it waited long and was rung often
    for _ in range(5):
        rooms.sweep()
        rooms.clock.tick(40)
    rooms.claimed(received.conversation_id, owner=ME)
    rooms.clock.tick(20)
    assert rooms.sweep().conversation_ids == [received.conversation_id]


def test_only_one_of_many_sweeps_rings(rooms: Rooms) -> None:
    for number in range(10):
        rooms.heard(who=f"人{number}")
    rooms.clock.tick(2)
    with ThreadPoolExecutor(8) as pool:
        rung = [one for swept in pool.map(lambda _: rooms.sweep(), range(8)) for one in swept.conversation_ids]
    assert len(rung) == len(set(rung)) == 10


def test_a_turn_that_killed_its_worker_too_often_ends_with_an_apology(rooms: Rooms) -> None:
    received = rooms.heard()
    for _ in range(3):
        rooms.claimed(received.conversation_id, owner=uuid4())
        rooms.clock.tick(20)
    swept = rooms.sweep(max_attempts=3)
    assert rooms.announced.owed_channels == {"test"}
    assert swept.conversation_ids == []
    assert rooms.turn(received.turn_id).state is TurnState.FAILED
    assert [text.text for text in rooms.due(owner=ME)] == [APOLOGY]


def test_the_turn_after_a_hopeless_one_is_answered(rooms: Rooms) -> None:
    received = rooms.heard("毒")
    rooms.claimed(received.conversation_id, owner=ME)
    later = rooms.heard("你还在吗")
    rooms.clock.tick(20)
    rooms.sweep(max_attempts=1)
    assert rooms.claimed(received.conversation_id, owner=ME).id == later.turn_id


def test_a_closed_conversation_is_never_rung(rooms: Rooms) -> None:
    received = rooms.heard()
    rooms.reset(received.conversation_id)
    rooms.clock.tick(60)
    assert rooms.sweep().conversation_ids == []


def test_neither_sweep_nor_courier_waits_for_what_a_frozen_process_holds(postgres_url: str) -> None:
    database = connect(postgres_url, lock_seconds=1)
    schema.upgrade(database)
    rooms = Rooms(database)
    held, free = rooms.heard(who="小王"), rooms.heard(who="小李")
    rooms.answered("在吗", "我在", who="小张")
    rooms.answered("在吗", "我在", who="小赵")
    first_owed = rooms.deliveries()[0].id
    rooms.clock.tick(2)
    with database.begin() as frozen:
        frozen.execute(select(Turn.id).where(Turn.conversation_id == held.conversation_id).with_for_update())
        frozen.execute(select(Delivery.id).where(Delivery.id == first_owed).with_for_update())
        assert rooms.sweep().conversation_ids == [free.conversation_id]
        assert [owed.address.chat_id for owed in rooms.due(owner=ME)] == ["小赵"]
        with pytest.raises(DatabaseUnavailable):
            rooms.heard("还在吗", who="小王")
        rooms.heard("还在吗", who="小李")
    assert rooms.sweep().conversation_ids == [held.conversation_id]
    database.close()
