"""Which replies share a transaction, and what becomes of each when one of them cannot be stored."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

from dialogue.core.turn_completions import Completion
from dialogue.errors import DatabaseUnavailable
from dialogue.states import TurnState
from dialogue.storage.database import Database, connect
from tests.builders import Rooms, reply
from tests.fakes import AtOnce
from tests.patience import wait_until
from worker import completions
from worker.completions import CompletionOutcome, CompletionWriter

ME = uuid4()


class Gate(Database):
    """Counts transactions, and keeps the first one open until the test lets it go."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.engine)
        self.count = 0
        self.is_in = threading.Event()
        self.opens = threading.Event()

    @contextmanager
    def begin(self, *, is_hasty: bool = False) -> Iterator[Session]:
        self.count += 1
        self.is_in.set()
        assert self.opens.wait(10)
        with super().begin(is_hasty=is_hasty) as session:
            yield session


class Outcomes(dict[UUID, CompletionOutcome]):
    def put(self, completion: Completion, outcome: CompletionOutcome) -> None:
        self[completion.turn.id] = outcome


def claimed(rooms: Rooms, *people: str) -> list[Completion]:
    for who in people:
        rooms.heard(who=who)
    return [Completion(turn=turn, reply=reply("我在听")) for turn in rooms.claim_open(owner=ME)]


def test_replies_that_end_while_others_are_stored_go_together_in_the_next_transaction(rooms: Rooms) -> None:
    ready = claimed(rooms, *(f"人{number}" for number in range(5)))
    gate, outcomes = Gate(rooms.database), Outcomes()
    looks: list[bool] = []
    storing = CompletionWriter(
        database=gate,
        owner=ME,
        executor=AtOnce(),
        ended=outcomes.put,
        all_ended=looks.append,
        clock=rooms.clock,
    )
    with ThreadPoolExecutor(1) as first:
        leads = first.submit(storing.add, ready[0])
        assert gate.is_in.wait(10)
        for completion in ready[1:]:
            storing.add(completion)
        gate.opens.set()
        leads.result(10)
    assert gate.count == 2
    assert set(outcomes.values()) == {CompletionOutcome.ANSWERED}
    assert len(outcomes) == 5
    assert looks == [False]
    assert {rooms.turn(completion.turn.id).state for completion in ready} == {TurnState.ANSWERED}


def test_a_lost_turn_is_discarded_alone(rooms: Rooms) -> None:
    lost, kept = claimed(rooms, "丢了", "还在")
    rooms.reset(lost.turn.conversation_id)
    outcomes = Outcomes()
    storing = CompletionWriter(
        database=rooms.database,
        owner=ME,
        executor=AtOnce(),
        ended=outcomes.put,
        all_ended=lambda _: None,
        clock=rooms.clock,
    )
    for completion in (lost, kept):
        storing.add(completion)
    assert outcomes == {lost.turn.id: CompletionOutcome.DISCARDED, kept.turn.id: CompletionOutcome.ANSWERED}


def test_a_row_that_is_locked_for_long_holds_up_nobody_else(postgres_database: Callable[[], str]) -> None:
    database = connect(postgres_database())
    rooms = Rooms(database)
    locked, free = claimed(rooms, "锁住", "没锁")
    outcomes = Outcomes()
    with ThreadPoolExecutor(2) as executor:
        storing = CompletionWriter(
            database=database,
            owner=ME,
            executor=executor,
            ended=outcomes.put,
            all_ended=lambda _: None,
            clock=rooms.clock,
        )
        with database.engine.begin() as other:
            other.exec_driver_sql("SELECT 1 FROM turns WHERE id = %s FOR UPDATE", (locked.turn.id,))
            storing.add(locked)
            storing.add(free)
            wait_until(lambda: outcomes == {free.turn.id: CompletionOutcome.ANSWERED})
        wait_until(lambda: outcomes.get(locked.turn.id) is CompletionOutcome.ANSWERED)
    database.close()


def test_when_the_database_stays_away_the_places_are_free_and_the_lease_decides(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "_DATABASE_RETRY_SECONDS", 0)

    class Away(Database):
        is_away = True

        @contextmanager
        def begin(self, *, is_hasty: bool = False) -> Iterator[Session]:
            if self.is_away:
                raise DatabaseUnavailable
            yield Session()

    (ready,) = claimed(rooms, "小王")
    outcomes = Outcomes()
    storing = CompletionWriter(
        database=Away(rooms.database.engine),
        owner=ME,
        executor=AtOnce(),
        ended=outcomes.put,
        all_ended=lambda _: None,
        clock=rooms.clock,
    )
    storing.add(ready)
    assert outcomes == {ready.turn.id: CompletionOutcome.NOT_STORED}
    assert rooms.turn(ready.turn.id).state is TurnState.GENERATING
