"""Who looks when, and how rings wait while a worker is full. No clock, no database: turns are numbers of a list."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dialogue.core.turns import ClaimedTurn
from dialogue.errors import DatabaseUnavailable
from dialogue.messages import Address
from dialogue.storage.vault import PersonKey
from tests.patience import wait_until
from worker.dispatcher import Dispatcher


def turn(number: int) -> ClaimedTurn:
    return ClaimedTurn(
        id=uuid4(),
        conversation_id=uuid4(),
        person_id=uuid4(),
        address=Address(channel="test", chat_id=str(number)),
        epoch=0,
        attempt=1,
        claimed_at=datetime.now(UTC),
        text=str(number),
        history=[],
        key=PersonKey(AESGCM(bytes(32))),
    )


class Open:
    """Open turns, and a dispatcher whose answers wait until the test ends them."""

    def __init__(self, count: int, *, room: int) -> None:
        self.turns = [turn(number) for number in range(count)]
        self.answering: list[ClaimedTurn] = []
        self.rung_on = threading.Event()
        self.looks = 0
        self.executor = ThreadPoolExecutor(room)
        self.dispatcher = Dispatcher(
            claim=self.claim,
            answer=self.answering.append,
            executor=self.executor,
            room=room,
            ring_on=self.rung_on.set,
        )

    def claim(self, limit: int) -> Sequence[ClaimedTurn]:
        self.looks += 1
        claimed, self.turns = self.turns[:limit], self.turns[limit:]
        return claimed

    def end_one(self) -> None:
        wait_until(lambda: self.answering)
        self.answering.pop(0)
        self.dispatcher.ended()
        self.dispatcher.look_again()


def test_one_ring_has_all_answered_that_are_open() -> None:
    house = Open(5, room=8)
    house.dispatcher.rung()
    wait_until(lambda: len(house.answering) == 5)
    assert (house.looks, house.dispatcher.room) == (1, 3)
    house.executor.shutdown()


def test_it_knows_whether_a_look_left_something_open() -> None:
    house = Open(3, room=2)
    seen = [house.dispatcher.may_be_more]
    for happens in (house.dispatcher.look, house.end_one, house.end_one):
        happens()
        seen.append(house.dispatcher.may_be_more)
    assert seen == [False, True, True, False]  # after the first end its room is full again
    house.executor.shutdown()


def test_a_full_worker_keeps_the_ring_in_hand_and_rings_for_the_others() -> None:
    house = Open(3, room=2)
    with ThreadPoolExecutor(1) as celery:
        ring = celery.submit(house.dispatcher.rung)
        assert house.rung_on.wait(10)
        assert not ring.done()
        house.end_one()  # the third takes its place: still full
        wait_until(lambda: not house.turns)
        assert house.dispatcher.room == 0
        house.end_one()
        ring.result(10)
    house.executor.shutdown()


def test_a_stopping_worker_lets_the_ring_go_and_claims_no_more() -> None:
    house = Open(3, room=2)
    with ThreadPoolExecutor(1) as celery:
        ring = celery.submit(house.dispatcher.rung)
        assert house.rung_on.wait(10)
        house.dispatcher.claim_no_more()
        ring.result(10)
    house.end_one()
    assert len(house.turns) == 1
    house.executor.shutdown()


def test_who_comes_while_another_looks_goes_away_and_another_look_follows() -> None:
    house = Open(0, room=4)
    looking, may_go_on = threading.Event(), threading.Event()
    claim = house.claim

    def slowly(limit: int) -> Sequence[ClaimedTurn]:
        looking.set()
        assert may_go_on.wait(10)
        return claim(limit)

    house.dispatcher._claim = slowly
    with ThreadPoolExecutor(1) as other:
        first = other.submit(house.dispatcher.look)
        assert looking.wait(10)
        house.dispatcher.look()
        house.dispatcher.look()
        may_go_on.set()
        first.result(10)
    assert house.looks == 2
    house.executor.shutdown()


def test_a_look_that_failed_stands_in_nobodys_way() -> None:
    house = Open(1, room=4)
    claim = house.claim

    def fail(_limit: int) -> Sequence[ClaimedTurn]:
        raise DatabaseUnavailable

    house.dispatcher._claim = fail
    house.dispatcher.look_again()
    house.dispatcher._claim = claim
    house.dispatcher.look()
    wait_until(lambda: len(house.answering) == 1)
    house.executor.shutdown()
