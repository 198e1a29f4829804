"""Reset of all conversations: the time for 10,000, and the effect on people who write meanwhile.

    python -m bench.reset                 # SQLite
    python -m bench.reset --postgres      # PostgreSQL from the tests' wheel
    python -m bench.reset --conversations 50000 --json

Each conversation has a turn that waits. While all are ended, new people write one after the other; a message is
taken in by the domain's own transaction, and its time is compared with the time when nothing else goes on.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, insert, select

from care import texts
from dialogue.admin import reset_all
from dialogue.admin.office import Actor, Office
from dialogue.states import TurnState
from dialogue.storage import schema
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.storage.ids import new_id
from dialogue.tables import CONVERSATIONS, PEOPLE, TURNS
from tests.builders import FakeClock, Rooms
from tests.services.postgres import PostgresServer

_QUIET_MESSAGES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Times of intake in milliseconds, without and during the reset."""

    database: str
    conversations: int
    seconds: float
    longest_batch_ms: float
    quiet_p50_ms: float
    messages: int
    p50_ms: float
    p95_ms: float
    max_ms: float


class RealClock(FakeClock):
    """The test builders' clock, set to real time."""

    def __call__(self) -> datetime:
        return utc_now()


class Writers:
    """People who write one after the other until stopped."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.times: list[float] = []

    def write(self) -> float:
        began_at = time.perf_counter()
        self._rooms.heard("你好", who=new_id().hex)
        return 1000 * (time.perf_counter() - began_at)

    @contextmanager
    def writing(self) -> Iterator[None]:
        self._thread.start()
        yield
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.times.append(self.write())
            time.sleep(0.005)


def measure(database: Database, *, count: int) -> Row:
    """Fill, and end all."""
    rooms = Rooms(database, clock=RealClock())
    fill(rooms, count)
    office, boss = Office(keys=rooms.keys, texts=texts.load("zh")), Actor(name="bench")
    writers = Writers(rooms)
    quiet = [writers.write() for _ in range(_QUIET_MESSAGES)]
    ended_count, batches = 0, []
    began_at = time.perf_counter()
    with writers.writing():
        batch_began_at = began_at
        for ended in reset_all.reset_all(database, office, by=boss):
            ended_count += ended
            batches.append(1000 * (time.perf_counter() - batch_began_at))
            batch_began_at = time.perf_counter()
        seconds = time.perf_counter() - began_at
    if ended_count != count + _QUIET_MESSAGES:
        raise SystemExit(f"{ended_count} conversations were ended, not {count + _QUIET_MESSAGES}")
    return Row(
        database=database.engine.dialect.name,
        conversations=ended_count,
        seconds=round(seconds, 2),
        longest_batch_ms=round(max(batches), 1),
        quiet_p50_ms=round(statistics.median(quiet), 1),
        messages=len(writers.times),
        p50_ms=round(statistics.median(writers.times), 1),
        p95_ms=round(statistics.quantiles(writers.times, n=20)[-1], 1),
        max_ms=round(max(writers.times), 1),
    )


def fill(rooms: Rooms, count: int) -> None:
    """As many people, each with an open conversation and a turn that waits."""
    now = utc_now()
    people, conversations, turns = [], [], []
    for number in range(count):
        person, conversation = new_id(), new_id()
        user = f"person-{number}"
        key = rooms.keys.new_data_key(person)
        people.append({"id": person, "channel": "bench", "user_id": user, "data_key": key, "created_at": now})
        conversations.append(
            {"id": conversation, "person_id": person, "channel": "bench", "chat_id": user, "epoch": 1, "tier": 0}
            | {"opened_at": now}
        )
        turns.append(
            {"id": new_id(), "conversation_id": conversation, "seq": 1, "state": TurnState.WAITING, "attempt": 0}
            | {"rung_at": now, "ring_count": 1, "created_at": now}
        )
    with rooms.database.begin() as session:
        session.execute(insert(PEOPLE), people)
        session.execute(insert(CONVERSATIONS), conversations)
        session.execute(insert(TURNS), turns)
    with rooms.database.read() as session:
        stored = session.scalar(select(func.count()).select_from(CONVERSATIONS))
    sys.stderr.write(f"{stored} conversations stored\n")


def _table(rows: list[Row]) -> Table:
    table = Table(title="A reset of all, and the intake beside it", title_justify="left")
    for name in Row.__slots__:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*map(str, asdict(row).values()))
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mg-")))
        url = sqlite_url(home / "bench.db")
        if arguments.postgres:
            server = PostgresServer(home)
            server.start()
            stack.callback(server.stop)
            url = server.url()
        database = connect(url)
        stack.callback(database.close)
        schema.upgrade(database)
        row = measure(database, count=arguments.conversations)
    if arguments.json:
        sys.stdout.write(json.dumps(asdict(row)) + "\n")
    else:
        Console(width=160).print(_table([row]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
