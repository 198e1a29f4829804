"""On SQLite nothing that happens again and again reads a whole table: the index of what is open is used.

SQLite knows an index with a condition again only in a statement that holds that condition word for word.
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, event

from dialogue.admin.overview import overview
from dialogue.core import budgets, sending
from dialogue.core.queue_position import line
from dialogue.storage.database import Database
from dialogue.telemetry.backlog import backlog
from tests.bot.outgoing.rationed import claim, owe, write
from tests.builders import Rooms, message

ME = uuid4()


@pytest.fixture
def rooms(sqlite_rooms: Rooms) -> Rooms:
    return sqlite_rooms


def scans_of(database: Database, work: Callable[[], object]) -> list[str]:
    """The steps by which tables are read from end to end, but for those that go by an index of a few rows."""
    scans: list[str] = []

    def explain(connection: Connection, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            cursor = connection.connection.cursor()
            for *_, step in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall():
                if _reads_a_table(step):
                    scans.append(f"{step}: {statement}")
            cursor.close()

    event.listen(database.engine, "before_cursor_execute", explain)
    try:
        work()
    finally:
        event.remove(database.engine, "before_cursor_execute", explain)
    return scans


def _reads_a_table(step: str) -> bool:
    operation, name, *way = step.split()
    table = name.rstrip("_0123456789")
    is_whole = not way or way[-1].startswith("sqlite_autoindex")
    return operation == "SCAN" and is_whole and table in {"turns", "deliveries", "messages", "conversations", "people"}


def test_a_turn_from_its_words_to_its_answer(rooms: Rooms) -> None:
    def talk() -> None:
        rooms.receive(message("在吗"))
        (turn,) = rooms.claim_open(owner=ME)
        rooms.complete(turn, owner=ME)
        (owed,) = rooms.due(owner=ME)
        rooms.mark_sent(owed, owner=ME)

    assert scans_of(rooms.database, talk) == []


def test_what_a_budget_allows_and_what_waits_for_it(rooms: Rooms) -> None:
    def take() -> None:
        write(rooms)
        for _ in range(3):
            owe(rooms, "嗯")
        (text, *_) = claim(rooms, ME, accounts=()).texts
        with rooms.database.begin() as session:
            budgets.hold(session, text.address, is_refused=True)
            sending.take_back(session, ME, held=())

    assert scans_of(rooms.database, take) == []


def test_what_is_looked_at_every_few_seconds(rooms: Rooms) -> None:
    rooms.heard("在吗")

    def look() -> None:
        rooms.sweep()
        with rooms.database.read() as session:
            backlog(session)
            line(session)
            overview(session, now=rooms.clock())

    assert scans_of(rooms.database, look) == []
