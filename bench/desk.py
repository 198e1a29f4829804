"""How soon open duty desks see a crisis: from the commit of its message's transaction to the event at each desk.

    python -m bench.desk                        # 20 desks, 20 alarms, SQLite
    python -m bench.desk --desks 50 --alarms 100 --database-url URL

The console runs in this process and the desks ask it over HTTP on loopback, so they share its processor.
"""

import argparse
import contextlib
import http.client
import json
import socket
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from pydantic import SecretStr
from sqlalchemy import update

from bot.channels import registry
from console import accounts, sessions
from console.app import create_app
from console.page_request import SESSION_COOKIE
from console.services import ConsoleServices
from console.sessions import Lifetimes
from console.settings import ConsoleSettings
from dialogue.admin import alerts
from dialogue.admin.office import Office
from dialogue.states import Role
from dialogue.storage import schema
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.storage.vault import new_secret
from dialogue.tables import CONVERSATIONS
from tests.builders import Rooms

BUDGET_SECONDS = 1.0
_PATIENCE_SECONDS = 10.0


@dataclass
class OpenDesk:
    """One browser's event stream; `seen_at`: when it was first told that so many are unattended."""

    address: tuple[str, int]
    cookie: str
    seen_at: dict[int, float] = field(default_factory=dict)
    _connection: http.client.HTTPConnection | None = None

    def listen(self) -> None:
        """Until the console or `close` ends it."""
        self._connection = connection = http.client.HTTPConnection(*self.address)
        headers = {"Accept": "text/event-stream", "Cookie": f"{SESSION_COOKIE}={self.cookie}"}
        with contextlib.suppress(http.client.HTTPException, OSError, ValueError):
            connection.request("GET", "/duty/events", headers=headers)
            for line in connection.getresponse():
                if line.startswith(b"data: "):
                    count = json.loads(line.removeprefix(b"data: ")).get("unattended")
                    self.seen_at.setdefault(count, time.perf_counter())
        connection.close()

    def close(self) -> None:
        if self._connection is not None and self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)


def main() -> int:
    arguments = _arguments()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mg-")))
        services = _services(home, arguments.database_url or sqlite_url(home / "desk.db"))
        stack.callback(services.close)
        server = uvicorn.Server(uvicorn.Config(create_app(services), port=0, log_level="warning"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        address = server.servers[0].sockets[0].getsockname()[:2]
        desks = [
            OpenDesk(address, cookie) for cookie in sign_in(services.database, services.lifetimes, arguments.desks)
        ]
        for desk in desks:
            threading.Thread(target=desk.listen, daemon=True).start()
        wait_until_all_saw(desks, 0)
        seconds = [second for number in range(1, arguments.alarms + 1) for second in _alarm(services, desks, number)]
        services.board.end()
        server.should_exit = True
        thread.join(_PATIENCE_SECONDS)
    result = {
        "desks": arguments.desks,
        "alarms": arguments.alarms,
        "p50_s": round(statistics.median(seconds), 3),
        "p95_s": round(statistics.quantiles(seconds, n=20)[-1], 3),
        "max_s": round(max(seconds), 3),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return int(max(seconds) > BUDGET_SECONDS)


def _alarm(services: ConsoleServices, desks: list[OpenDesk], number: int) -> list[float]:
    """How many seconds after the commit each desk knew."""
    rooms = Rooms(services.database, services.keys, utc_now)  # type: ignore[arg-type] # the clock of now
    conversation_id = rooms.heard(who=f"person {number}").conversation_id
    office = Office(keys=services.keys, texts=services.said_to_people)
    with services.database.begin() as session:
        session.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id).values(tier=3))
        alerts.alarm(session, office, conversation_id, tier=3, is_urgent=False, now=utc_now())
    committed_at = time.perf_counter()
    wait_until_all_saw(desks, number)
    return [desk.seen_at[number] - committed_at for desk in desks]


def wait_until_all_saw(desks: list[OpenDesk], count: int) -> None:
    end = time.perf_counter() + _PATIENCE_SECONDS
    while not all(count in desk.seen_at for desk in desks):
        if time.perf_counter() > end:
            raise SystemExit(f"not every desk was told of {count} within {_PATIENCE_SECONDS} s")
        time.sleep(0.005)


def _services(home: Path, url: str) -> ConsoleServices:
    database = connect(url)
    schema.upgrade(database)
    database.close()
    settings = ConsoleSettings(
        home=home / "home",
        database_url=SecretStr(url),
        secret_key=SecretStr(new_secret()),
        console_second_factor="offered",
    )
    return ConsoleServices.open(settings, channels=registry.labels())


def sign_in(database: Database, lifetimes: Lifetimes, count: int) -> list[str]:
    """The cookies of so many counsellors."""
    cookies = []
    with database.begin() as session:
        for number in range(count):
            staff_id = accounts.add(
                session, name=f"desk{number}", role=Role.COUNSELLOR, locale="zh", actor="bench", now=utc_now()
            )
            cookies.append(sessions.open_for(session, staff_id, lifetimes, now=utc_now()))
    return cookies


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--desks", type=int, default=20)
    parser.add_argument("--alarms", type=int, default=20)
    parser.add_argument("--database-url")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
