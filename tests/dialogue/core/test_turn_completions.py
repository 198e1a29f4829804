"""Replies that end together are stored together, each behind its own fence."""

from collections.abc import Callable
from uuid import UUID, uuid4

from dialogue.core.turn_completions import Completion, complete_held
from dialogue.core.turns import ClaimedTurn
from dialogue.states import DeliveryKind, TurnState
from dialogue.storage.database import connect
from tests.builders import Rooms, reply

ME = uuid4()


def complete(
    rooms: Rooms, turns: list[ClaimedTurn], *, preface: str | None = None, owner: UUID = ME
) -> frozenset[UUID]:
    completions = [Completion(turn=turn, reply=reply(f"答{turn.text}"), preface=preface) for turn in turns]
    with rooms.database.begin() as session:
        return complete_held(session, completions, owner=owner, now=rooms.clock()).turn_ids


def test_many_are_stored_and_owed_in_their_order(rooms: Rooms) -> None:
    for number in range(3):
        rooms.heard(f"{number}", who=f"人{number}")
    claimed = rooms.claim_open(owner=ME)
    assert complete(rooms, claimed, preface="久等了") == {turn.id for turn in claimed}
    assert {rooms.turn(turn.id).state for turn in claimed} == {TurnState.ANSWERED}
    owed = rooms.due(owner=ME)
    assert {text.text for text in owed} == {"久等了"}  # an address gets its texts one after the other
    kinds = [delivery.kind for delivery in rooms.deliveries()]
    assert kinds == [DeliveryKind.NOTICE, DeliveryKind.REPLY] * 3


def test_a_lost_turn_and_an_ended_conversation_cost_the_others_nothing(rooms: Rooms) -> None:
    lost, ended, kept = (rooms.heard(who=who) for who in ("丢了", "结束", "还在"))
    claimed = rooms.claim_open(owner=ME)
    rooms.reset(ended.conversation_id)
    rooms.clock.tick(30)
    other = uuid4()
    rooms.claimed(lost.conversation_id, owner=other)
    assert complete(rooms, claimed) == {kept.turn_id}
    assert rooms.turn(lost.turn_id).owner == other
    assert rooms.turn(ended.turn_id).state is TurnState.DISCARDED
    assert [text.text for text in rooms.due(owner=ME)] == ["答你好"]


def test_it_is_told_whether_somebody_said_more_meanwhile(rooms: Rooms) -> None:
    for who in ("小王", "小李"):
        rooms.heard("一", who=who)
    first, second = rooms.claim_open(owner=ME)
    rooms.heard("二", who="小李")
    stored = []
    for turn in (first, second):
        with rooms.database.begin() as session:
            completion = Completion(turn=turn, reply=reply())
            stored.append(complete_held(session, [completion], owner=ME, now=rooms.clock()))
    assert [each.is_followed for each in stored] == [False, True]


def test_a_row_that_another_process_has_locked_is_left_out(postgres_database: Callable[[], str]) -> None:
    database = connect(postgres_database())
    rooms = Rooms(database)
    locked, free = rooms.heard(who="锁住"), rooms.heard(who="没锁")
    claimed = rooms.claim_open(owner=ME)
    with database.engine.begin() as other:
        other.exec_driver_sql("SELECT 1 FROM turns WHERE id = %s FOR UPDATE", (locked.turn_id,))
        assert complete(rooms, claimed) == {free.turn_id}
    assert complete(rooms, claimed) == {locked.turn_id}
    database.close()
