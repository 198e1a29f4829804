"""The web console's pages with a million turns in PostgreSQL: how long each takes, and the plans of its statements.

    python -m bench.console                     # PostgreSQL from the tests' wheel, filled with 1,000,000 turns
    python -m bench.console --turns 50000 --plans
    python -m bench.console --database-url URL  # a database that is full already; nothing is written but a sign-in

An admin requests the pages as a browser would, one after the other. The time is that of the whole response.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, event, text
from starlette.testclient import TestClient

from bench.archive import fill
from bot.channels import registry
from console import accounts, sessions
from console.app import create_app
from console.page_request import SESSION_COOKIE
from console.services import ConsoleServices
from console.settings import ConsoleSettings
from dialogue.states import Role
from dialogue.storage import schema
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database, connect
from dialogue.storage.vault import new_secret
from tests.services.postgres import PostgresServer

BUDGET_MS = 200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One page; `cpu_ms` is this process's share of the median, `slowest_ms` the longest plan of its `statements`."""

    page: str
    p50_ms: float
    p95_ms: float
    max_ms: float
    cpu_ms: float
    statements: int
    slowest_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An executed statement and its query plan."""

    statement: str
    parameters: Any

    def plan(self, connection: Connection) -> tuple[float, str]:
        lines = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {self.statement}", self.parameters).scalars()
        plan = "\n".join(lines)
        return float(plan.rpartition("Execution Time: ")[2].partition(" ")[0]), plan


def main() -> int:
    arguments = _arguments()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mg-")))
        url = arguments.database_url or stack.enter_context(_filled(home, arguments.turns))
        settings = ConsoleSettings(
            home=home / "home",
            database_url=SecretStr(url),
            secret_key=SecretStr(arguments.secret_key or new_secret()),
            console_second_factor="offered",
        )
        services = ConsoleServices.open(settings, channels=registry.labels())
        stack.callback(services.close)
        rows = _measure(services, arguments.rounds, _print_plan if arguments.plans else None)
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows]) + "\n")
    else:
        Console().print(_table(rows))
    return int(any(row.p95_ms > BUDGET_MS for row in rows))


def _measure(services: ConsoleServices, rounds: int, on_plan: Callable[[str, float, str], None] | None) -> list[Row]:
    client, paths = TestClient(create_app(services), base_url="http://127.0.0.1:8090"), _paths(services)
    client.cookies[SESSION_COOKIE] = _sign_in(services)
    began = time.perf_counter()
    services.gatherer.gather()
    sys.stderr.write(f"the week's figures were counted in {time.perf_counter() - began:.1f} s\n")
    return [_row(services, client, path, rounds, on_plan) for path in paths]


def _row(
    services: ConsoleServices,
    client: TestClient,
    path: str,
    rounds: int,
    on_plan: Callable[[str, float, str], None] | None,
) -> Row:
    with _listening(services.database) as asked:
        assert client.get(path, follow_redirects=False).status_code == 200, path
    with services.database.engine.connect() as connection:
        plans = [one.plan(connection) for one in asked]
    if on_plan is not None:
        for milliseconds, plan in plans:
            on_plan(path, milliseconds, plan)
    times, efforts = [], []
    for _ in range(rounds):
        began, spent = time.perf_counter(), time.process_time()
        client.get(path, follow_redirects=False)
        times.append(1000 * (time.perf_counter() - began))
        efforts.append(1000 * (time.process_time() - spent))
    return Row(
        page=path,
        p50_ms=round(statistics.median(times), 1),
        p95_ms=round(statistics.quantiles(times, n=20)[-1], 1),
        max_ms=round(max(times), 1),
        cpu_ms=round(statistics.median(efforts), 1),
        statements=len(asked),
        slowest_ms=round(max((milliseconds for milliseconds, _ in plans), default=0), 1),
    )


def _paths(services: ConsoleServices) -> list[str]:
    """Every page that lists, with the filters that could be slow: rare rows, nothing found, far back."""
    with services.database.read() as session:
        conversation_id, person_id = session.execute(
            text("SELECT id, person_id FROM conversations WHERE tier = 3 ORDER BY id LIMIT 1")
        ).one()
        middle = session.scalar(text("SELECT opened_at FROM conversations ORDER BY opened_at OFFSET 1000 LIMIT 1"))
        delivery = session.scalar(
            text("SELECT id FROM deliveries WHERE state = 'failed' ORDER BY created_at OFFSET 100 LIMIT 1")
        )
        entry = session.scalar(text("SELECT id FROM audit ORDER BY id OFFSET 1000 LIMIT 1"))
    return [
        "/",
        "/figures?span=day",
        "/figures?span=week",
        "/conversations",
        "/conversations?channel=wechat&standing=closed",
        "/conversations?channel=nothing",
        "/conversations?tier=3",
        "/conversations?tier=3&standing=waiting&channel=wechat",
        "/conversations?standing=waiting",
        "/conversations?standing=taken_over",
        f"/conversations?from={middle:%Y-%m-%d}&until={middle:%Y-%m-%d}&tier=2",
        f"/conversations?after=rest_{middle:%Y-%m-%dT%H:%M:%S}%2B00:00_{conversation_id}",
        f"/conversations?sort=newest&after={middle:%Y-%m-%dT%H:%M:%S}%2B00:00_{conversation_id}",
        "/conversations?sort=danger",
        "/conversations?sort=waiting",
        "/conversations?sort=last",
        "/conversations?case=unattended&assigned=me&minor=1",
        f"/people/{person_id}",
        "/duty",
        "/duty/closed",
        "/duty/events",
        f"/conversations?person={person_id}",
        "/conversations?q=nothing",
        f"/conversations/{conversation_id}",
        f"/conversations/{conversation_id}/pulse",
        "/deliveries",
        f"/deliveries?before={delivery}",
        "/complaints",
        "/complaints?settled=1",
        "/audit",
        "/audit?action=alarm",
        "/audit?actor=nobody",
        f"/audit?conversation={conversation_id}",
        f"/audit?before={entry}",
        "/hotlines",
        "/staff",
        "/account",
    ]


def _sign_in(services: ConsoleServices) -> str:
    now = utc_now()
    with services.database.begin() as session:
        known = accounts.by_name(session, "bench")
        staff_id = (
            known.id
            if known
            else accounts.add(session, name="bench", role=Role.ADMIN, locale="zh", actor="bench", now=now)
        )
        return sessions.open_for(session, staff_id, services.lifetimes, now=now)


@contextmanager
def _filled(directory: Path, turns: int) -> Iterator[str]:
    server = PostgresServer(directory)
    server.start()
    try:
        database = connect(server.url())
        schema.upgrade(database)
        began = time.perf_counter()
        fill(database, turns=turns)
        sys.stderr.write(f"{turns} turns were made in {time.perf_counter() - began:.0f} s\n")
        database.close()
        yield server.url()
    finally:
        server.stop()


@contextmanager
def _listening(database: Database) -> Iterator[list[Asked]]:
    """Every statement that reads, with its parameters."""
    asked: list[Asked] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append(Asked(statement=statement, parameters=parameters))

    event.listen(database.engine, "before_cursor_execute", hear)
    try:
        yield asked
    finally:
        event.remove(database.engine, "before_cursor_execute", hear)


def _print_plan(page: str, milliseconds: float, plan: str) -> None:
    if milliseconds >= 1:
        sys.stdout.write(f"--- {page}: {milliseconds:.1f} ms\n{plan}\n")


def _table(rows: list[Row]) -> Table:
    table = Table(title="web console")
    for name in Row.__slots__:
        table.add_column(name, justify="left" if name == "page" else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(str, asdict(row).values()))
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--database-url", help="a database that is full already")
    parser.add_argument("--secret-key", help="its master key")
    parser.add_argument("--plans", action="store_true", help="print the plans of a millisecond or more")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
