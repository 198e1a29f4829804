"""What a message is decided by is found by indexes: neither all messages are read, nor all those of one person."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event, text

from dialogue.core import arrival, intake, people
from dialogue.storage.database import connect
from tests.builders import CHANNEL, Rooms, message

HISTORY = 60_000
DEAREST = 100.0
"""Reading one person's messages would cost more than a thousand."""
WHO = "小王"

_PAST = text(
    "INSERT INTO messages (id, person_id, conversation_id, turn_id, channel, account, external_id, text, sent_at,"
    " received_at) SELECT gen_random_uuid(), person_id, conversation_id, turn_id, channel, account,"
    " 'past-' || number, text, sent_at - number * interval '1 hour', received_at - number * interval '1 hour'"
    " FROM generate_series(1, :count) AS number, (SELECT * FROM messages LIMIT 1) AS one"
)


@pytest.fixture
def rooms(postgres_database: Callable[[], str]) -> Iterator[Rooms]:
    """One person who has said very much, among others."""
    database = connect(postgres_database())
    rooms = Rooms(database)
    for who in (WHO, "小李"):
        rooms.heard("在吗", who=who)
    with database.begin() as session:
        session.execute(_PAST, {"count": HISTORY})
    with database.outside_transactions() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    yield rooms
    database.close()


def costs_of(rooms: Rooms, work: Callable[[], object]) -> dict[str, float]:
    """What PostgreSQL expects of each reading statement, in its own units: a page read at random is four."""
    costs: dict[str, float] = {}

    def explain(connection: Connection, _cursor: object, statement: str, values: dict[str, Any], *_: object) -> None:
        if statement.startswith("SELECT"):
            driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]  # psycopg's
            (plan,) = (
                psycopg.ClientCursor(driver).execute(f"EXPLAIN (FORMAT JSON) {statement}".encode(), values).fetchall()
            )
            costs[statement] = plan[0][0]["Plan"]["Total Cost"]

    event.listen(rooms.database.engine, "before_cursor_execute", explain)
    try:
        work()
    finally:
        event.remove(rooms.database.engine, "before_cursor_execute", explain)
    return costs


def test_a_message_of_somebody_who_has_said_very_much_is_decided_as_quickly(rooms: Rooms) -> None:
    inbound = message("我还在", who=WHO)

    def take() -> None:
        with rooms.database.begin() as session:
            person = people.locked(session, rooms.keys, channel=CHANNEL, user_id=inbound.user_id, now=rooms.clock())
            found = arrival.look(session, person, inbound, now=rooms.clock())
            assert found.conversation is not None
            assert not intake.is_burst(session, person, mark="x", now=rooms.clock())

    costs = costs_of(rooms, take)
    assert len(costs) == 3
    assert {statement: cost for statement, cost in costs.items() if cost > DEAREST} == {}
