"""All open turns in one statement, on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import select, update

from dialogue.core.turns import ClaimedTurn
from dialogue.states import HELD_RING_COUNT, TurnState
from dialogue.tables import Message, Person, Turn
from tests.builders import Rooms

ME = uuid4()


def of(claimed: list[ClaimedTurn]) -> list[UUID]:
    return [turn.conversation_id for turn in claimed]


def test_what_waits_longest_is_claimed_first_and_only_a_conversations_next_turn(rooms: Rooms) -> None:
    waiting = []
    for number in range(3):
        waiting.append(rooms.heard(who=f"人{number}").conversation_id)
        rooms.clock.tick(2)
    answered = rooms.heard(who="在答").conversation_id
    rooms.claimed(answered, owner=ME)
    rooms.heard("下一句", who="在答")
    assert of(rooms.claim_open(owner=ME, limit=2)) == waiting[:2]
    assert of(rooms.claim_open(owner=ME)) == waiting[2:]
    assert rooms.claim_open(owner=ME) == []


def test_each_turn_comes_with_its_own_persons_words_and_history(rooms: Rooms) -> None:
    for number in range(3):
        for said in range(number):
            rooms.answered(f"{number}说{said}", f"答{said}", who=f"人{number}")
    for number in range(3):
        rooms.heard(f"{number}现在", who=f"人{number}")
    claimed = rooms.claim_open(owner=ME)
    assert [turn.text for turn in claimed] == ["0现在", "1现在", "2现在"]
    assert [[past.text for past in turn.history] for turn in claimed] == [[], ["1说0"], ["2说0", "2说1"]]
    assert [turn.address.chat_id for turn in claimed] == ["人0", "人1", "人2"]


def test_a_dead_workers_turn_is_claimed_unless_it_was_tried_too_often(rooms: Rooms) -> None:
    received = rooms.heard()
    rooms.claimed(received.conversation_id, owner=ME)
    assert rooms.claim_open(owner=ME) == []
    rooms.clock.tick(20)
    assert rooms.claim_open(owner=ME, max_attempts=1) == []  # the sweep ends it with an apology
    (turn,) = rooms.claim_open(owner=ME, max_attempts=2)
    assert turn.attempt == 2


def test_a_held_turn_is_claimed_when_its_time_has_come(rooms: Rooms) -> None:
    received = rooms.heard()
    until = rooms.clock() + timedelta(seconds=3)
    with rooms.database.begin() as session:
        session.execute(
            update(Turn).where(Turn.id == received.turn_id).values(ring_count=HELD_RING_COUNT, rung_at=until)
        )
    assert rooms.claim_open(owner=ME) == []
    rooms.clock.tick(3)
    assert of(rooms.claim_open(owner=ME)) == [received.conversation_id]


def test_workers_that_look_at_once_share_the_turns(rooms: Rooms) -> None:
    conversations = [rooms.heard(who=f"人{number}").conversation_id for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        taken = [
            one
            for claimed in pool.map(lambda _: of(rooms.claim_open(owner=uuid4(), limit=4)), range(6))
            for one in claimed
        ]
    taken += of(rooms.claim_open(owner=ME))  # a row that another was just locking is left to the next look
    assert sorted(taken) == sorted(conversations)


def test_of_an_erased_person_the_turn_is_discarded_and_the_others_go_on(rooms: Rooms) -> None:
    gone, stays = rooms.heard(who="走了"), rooms.heard(who="还在")
    with rooms.database.begin() as session:
        person_id = session.scalar(select(Message.person_id).where(Message.turn_id == gone.turn_id))
        session.execute(update(Person).where(Person.id == person_id).values(data_key=None))
    assert of(rooms.claim_open(owner=ME)) == [stays.conversation_id]
    assert rooms.turn(gone.turn_id).state is TurnState.DISCARDED


def test_words_that_cannot_be_read_hold_up_nobody_else_and_are_tried_again_without_counting(rooms: Rooms) -> None:
    broken, sound = rooms.heard(who="坏了"), rooms.heard(who="没事")
    with rooms.database.begin() as session:
        session.execute(update(Message).where(Message.turn_id == broken.turn_id).values(text=b"x" * 64))
    assert of(rooms.claim_open(owner=ME)) == [sound.conversation_id]
    assert rooms.claim_open(owner=ME) == []
    put_off = rooms.turn(broken.turn_id)
    assert (put_off.state, put_off.attempt) == (TurnState.GENERATING, 0)
    rooms.clock.tick(5)
    with rooms.database.begin() as session:
        session.execute(update(Turn).where(Turn.id == broken.turn_id).values(state=TurnState.DISCARDED))
    assert rooms.claim_open(owner=ME) == []
