"""A reset of all does to each conversation what a reset of one does."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from dialogue.admin import audit, reset_all
from dialogue.admin.office import Actor, Office
from dialogue.admin.takeover import take_over
from dialogue.core import queue_position
from dialogue.errors import ReasonTooLong
from dialogue.states import ClosedBy, DeliveryState, TurnState
from tests.builders import Rooms
from tests.dialogue.admin.conftest import BOSS
from tests.dialogue.admin.test_takeover import owed_to

ME = UUID(int=1)


def test_nobody_is_told_a_place_in_the_queue_of_a_conversation_that_has_ended(
    rooms: Rooms, office: Office, boss: Actor
) -> None:
    rooms.heard()
    rooms.clock.tick(10)
    with rooms.database.begin() as session:
        since, now = rooms.clock() - timedelta(seconds=5), rooms.clock()
        assert queue_position.tell(session, rooms.keys, "test", str, since=since, now=now) == 1
    assert list(reset_all.reset_all(rooms.database, office, by=boss, clock=rooms.clock)) == [1]
    assert [delivery.state for delivery in rooms.deliveries()] == [DeliveryState.DISCARDED]
    assert rooms.due(owner=ME) == []


def test_a_reset_of_all_ends_every_conversation_in_batches_and_leaves_what_begins_meanwhile(
    rooms: Rooms, office: Office, boss: Actor, colleague: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reset_all, "BATCH", 3)
    old = [rooms.heard(who=f"人{number}") for number in range(7)]
    with rooms.database.begin() as session:
        take_over(session, office, old[2].conversation_id, by=colleague, now=rooms.clock())
    rooms.announced.clear()
    counts = []
    for count in reset_all.reset_all(rooms.database, office, by=boss, clock=rooms.clock):
        counts.append(count)
        if len(counts) == 1:
            rooms.clock.tick(1)
            meanwhile = rooms.heard(who="新人")
    assert counts == [3, 3, 1]
    assert rooms.announced.cancelled_turn_ids == {heard.turn_id for heard in old if heard is not old[2]}
    assert all(rooms.conversation(heard.conversation_id).closed_by is ClosedBy.ADMIN for heard in old)
    assert rooms.conversation(meanwhile.conversation_id).closed_at is None
    assert rooms.turn(meanwhile.turn_id).state is TurnState.WAITING
    with rooms.database.read() as session:
        assert len(audit.entries(session, action="reset")) == 7


def order(rooms: Rooms, boss: Actor, reason: str | None = None) -> None:
    with rooms.database.begin() as session:
        reset_all.order(session, by=boss, tell=BOSS, reason=reason, now=rooms.clock())


def advance(rooms: Rooms, office: Office) -> int | None:
    with rooms.database.begin() as session:
        return reset_all.advance(session, office, now=rooms.clock())


def test_an_order_goes_on_where_a_process_stopped_and_is_reported_once(
    rooms: Rooms, office: Office, boss: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reset_all, "BATCH", 2)
    before = [rooms.heard(who=f"人{number}").conversation_id for number in range(5)]
    order(rooms, boss, "换班")
    rooms.clock.tick(1)
    after = rooms.heard(who="新人").conversation_id
    assert [advance(rooms, office) for _ in range(3)] == [2, 2, 1]  # each may be another process
    assert owed_to(rooms, BOSS) == []
    assert [advance(rooms, office) for _ in range(2)] == [None, None]
    assert [text.text for text in owed_to(rooms, BOSS)] == [office.texts.say("desk_reset_all_done", count=5)]
    assert all(rooms.conversation(conversation_id).closed_by is ClosedBy.ADMIN for conversation_id in before)
    assert rooms.conversation(after).closed_at is None
    with rooms.database.read() as session:
        assert not reset_all.is_ordered(session)
        assert {entry.reason for entry in audit.entries(session, action="reset")} == {"换班"}


def test_two_processes_share_an_order_and_never_do_the_same_part(
    rooms: Rooms, office: Office, boss: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reset_all, "BATCH", 3)
    for number in range(12):
        rooms.heard(who=f"人{number}")
    order(rooms, boss)

    def work(_number: int) -> list[int]:
        counts: list[int] = []
        while True:
            with rooms.database.read() as session:
                if not reset_all.is_ordered(session):
                    return counts
            counts.append(advance(rooms, office) or 0)

    with ThreadPoolExecutor(2) as pool:
        assert sum(sum(counts) for counts in pool.map(work, range(2))) == 12
    assert len(owed_to(rooms, BOSS)) == 1


def test_an_order_whose_reason_cannot_be_kept_is_refused(rooms: Rooms, boss: Actor) -> None:
    with pytest.raises(ReasonTooLong):
        order(rooms, boss, "长" * 256)
