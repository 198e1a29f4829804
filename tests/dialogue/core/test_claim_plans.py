"""Claiming looks only at what is open: among 100,000 texts of the past PostgreSQL reads no whole table."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, event, text

from dialogue.core.claiming import claim_due
from dialogue.storage.database import connect
from tests.bot.outgoing.rationed import claim, owe, write
from tests.builders import CHANNEL, Rooms

HISTORY = 100_000
ME = uuid4()

_COPIES = text(
    "INSERT INTO deliveries (id, person_id, part, kind, channel, account, chat_id, state, attempt, next_attempt_at,"
    " created_at, sent_at)"
    " SELECT gen_random_uuid(), person_id, 0, 'reply', channel, account, 'chat-' || number % 5000, 'sent', 1,"
    " created_at, created_at, created_at FROM generate_series(1, :count) AS number,"
    " (SELECT * FROM deliveries LIMIT 1) AS one"
)


@pytest.fixture
def rooms(postgres_database: Callable[[], str]) -> Iterator[Rooms]:
    """With a long past, and several people who are owed several texts."""
    database = connect(postgres_database())
    rooms = Rooms(database)
    for who in ("小王", "小李", "小赵"):
        write(rooms, who=who)
        for _ in range(4):
            owe(rooms, "嗯", who=who)
    with database.begin() as session:
        session.execute(_COPIES, {"count": HISTORY})
    with database.outside_transactions() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    yield rooms
    database.close()


def plans_of(rooms: Rooms, claim: Callable[[], object]) -> list[dict[str, Any]]:
    """One for each statement that touches deliveries."""
    plans: list[dict[str, Any]] = []

    def explain(connection: Connection, _cursor: object, statement: str, values: dict[str, Any], *_: object) -> None:
        if "deliveries" in statement:
            driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]  # psycopg's
            (plan,) = (
                psycopg.ClientCursor(driver).execute(f"EXPLAIN (FORMAT JSON) {statement}".encode(), values).fetchall()
            )
            plans.append(plan[0][0]["Plan"])

    event.listen(rooms.database.engine, "before_cursor_execute", explain)
    claim()
    event.remove(rooms.database.engine, "before_cursor_execute", explain)
    return plans


def scanned(plan: dict[str, Any]) -> Iterator[str]:
    """The tables that a plan reads from end to end."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", []):
        yield from scanned(part)


def test_what_is_due_is_found_by_an_index(rooms: Rooms) -> None:
    def claim() -> None:
        with rooms.database.begin() as session:
            assert claim_due(session, rooms.keys, CHANNEL, owner=ME, lease_seconds=60, limit=9, now=rooms.clock())

    plans = plans_of(rooms, claim)
    assert plans
    assert "deliveries" not in {table for plan in plans for table in scanned(plan)}


def test_what_a_budget_allows_is_found_by_an_index(rooms: Rooms) -> None:
    def take() -> None:
        assert claim(rooms, ME).texts

    plans = plans_of(rooms, take)
    assert len(plans) > 3
    assert "deliveries" not in {table for plan in plans for table in scanned(plan)}
