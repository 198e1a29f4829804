"""The web console, asked in this process as strangers and broken browsers might: raw bytes in, an answer out."""

import asyncio
import atexit
import re
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock
from urllib.parse import quote, unquote
from uuid import UUID, uuid4

from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.channels import registry
from console import accounts, app, gate, passwords, sessions
from console.page_request import SESSION_COOKIE
from console.services import ConsoleServices
from console.sessions import SignedIn
from console.settings import ConsoleSettings
from dialogue.admin.cases.opening import open_case
from dialogue.admin.office import Office
from dialogue.core import people
from dialogue.rights import complaints
from dialogue.states import CaseKind, DeliveryState, Role
from dialogue.storage.database import Database, reachable, sqlite_url
from dialogue.storage.vault import new_secret
from dialogue.tables import DELIVERIES
from tests.builders import CHANNEL, FakeClock, Rooms
from tests.services.migrated import migrate

PASSWORD = "four quiet green rivers"
MARK = "<zq\"zq='zq="
"""Typed into a field and shown again without being escaped, it would leave one of these behind."""

_UNESCAPED = re.compile(rb"<zq|\"zq=|'zq=|Traceback \(most recent call last\)")
_QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, as a server hands it on: the path is plain text, everything else bytes."""

    method: str
    path: str
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""

    def check(self) -> None:
        """No answer is a breakdown, shows what was typed as markup, or leads to another site."""
        assert 200 <= self.status < 500, f"status {self.status}"
        found = _UNESCAPED.search(self.body)
        assert found is None, f"unescaped: {self.body[max(0, found.start() - 40) : found.end() + 40]!r}"
        assert not [value for value in self.headers.values() if re.search(rb"[\r\n\x00]", value)]
        assert not re.match(rb"[^/]|/[/\\]", self.headers.get(b"location", b"/")), self.headers


class Console:
    """A console with somebody of every role signed in, one conversation and one failed delivery.

    What an input changes is undone after it, so that no input depends on those before it.
    """

    def __init__(self, url: str, home: Path) -> None:
        self._runner = asyncio.Runner()
        migrate(url)
        settings = ConsoleSettings(
            home=home,
            database_url=SecretStr(url),
            secret_key=SecretStr(new_secret()),
            console_second_factor="offered",  # its own tests are in test_second_factor.py
        )
        clock = FakeClock()
        self._room = ConsoleServices.open(settings, channels=registry.labels(), clock=clock)
        self._undoing = _Undoing(self._room.database)
        self._app = app.create_app(replace(self._room, database=self._undoing))
        self.ids = _furnish(self._room, clock)
        self.members = {role: self._sign_in(role) for role in Role}

    def cookie(self, role: Role) -> str:
        return f"{SESSION_COOKIE}={self.members[role].cookie(now=self._room.clock())}"

    def ask(self, asked: Asked, *, address: str = "127.0.0.1") -> Answer:
        """What is answered; raises what the application raises."""
        middle = len(asked.body) // 2
        chunks = [asked.body[middle:], asked.body[:middle]]
        answer = Answer()

        async def receive() -> MutableMapping[str, Any]:
            if not chunks:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": chunks.pop(), "more_body": bool(chunks)}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], dict(message["headers"])
            else:
                answer.body += message.get("body", b"")

        with self._undoing.all(), _cheaply():
            self._runner.run(self._app(_scope(asked, address), receive, send))
        return answer

    def close(self) -> None:
        self._undoing.close()
        self._room.close()
        self._runner.close()

    def _sign_in(self, role: Role) -> SignedIn:
        services, name = self._room, f"{role}-of-the-house"
        with services.database.begin() as session, _cheaply():
            staff_id = accounts.add(
                session,
                name=name,
                role=role,
                locale="zh",
                password_hash=passwords.digest(PASSWORD, name=name),
                actor="test",
                now=services.clock(),
            )
            cookie = sessions.open_for(session, staff_id, services.lifetimes, now=services.clock())
            found = sessions.find(session, cookie, services.lifetimes, now=services.clock())
        assert found is not None
        self.ids[f"staff {role}"] = staff_id
        return found


class _Undoing(Database):
    """Every transaction is a part of one that is rolled back."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.engine)
        self._connection = database.engine.connect()

    @contextmanager
    def all(self) -> Iterator[None]:
        transaction = self._connection.begin()
        try:
            yield
        finally:
            transaction.rollback()

    @contextmanager
    def begin(self, *, is_hasty: bool = False) -> Iterator[Session]:
        with reachable(), self._session() as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self.begin() as session:
            yield session

    def close(self) -> None:
        self._connection.close()

    def _session(self) -> Session:
        return Session(self._connection, expire_on_commit=False, join_transaction_mode="create_savepoint")


@contextmanager
def _cheaply() -> Iterator[None]:
    """Passwords are digested with the least effort, and pages made in this thread, whose time is measured."""
    with (
        mock.patch.object(passwords, "_hasher", _QUICK),
        mock.patch.object(gate, "run_in_threadpool", _here),
        mock.patch.object(app, "run_in_threadpool", _here),
    ):
        yield


async def _here(work: Callable[..., Response], *arguments: Any) -> Response:
    return work(*arguments)


def _scope(asked: Asked, address: str) -> dict[str, Any]:
    """As uvicorn makes it."""
    path = quote(asked.path, errors="surrogatepass")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": asked.query,
        "headers": list(asked.headers),
        "client": (address, 50000),
        "server": ("127.0.0.1", 8090),
    }


def _furnish(services: ConsoleServices, clock: FakeClock) -> dict[str, UUID]:
    """Something of everything that a page can be about."""
    rooms = Rooms(services.database, services.keys, clock)
    received = rooms.answered("我睡不着", "我在听", who="wxid_wang")
    (delivery,) = rooms.due(owner=UUID(int=1))
    with services.database.begin() as session:
        session.execute(DELIVERIES.update().values(state=DeliveryState.FAILED, error="unknown"))
        person = people.locked(session, services.keys, channel=CHANNEL, user_id="wxid_wang", now=clock())
        case_id = open_case(
            session,
            Office(keys=services.keys, texts=services.said_to_people),
            kind=CaseKind.DANGER,
            person_id=person.id,
            conversation_id=received.conversation_id,
            level=3,
            now=clock(),
        )
        complaint_id = complaints.make(session, person, "太慢", conversation_id=received.conversation_id, now=clock())
    return {
        "conversations": received.conversation_id,
        "complaints": complaint_id,
        "people": person.id,
        "deliveries": delivery.id,
        "cases": case_id,
        "views": uuid4(),
        "nobody": uuid4(),
    }


@cache
def console() -> Console:
    """This process's, on SQLite."""
    home = TemporaryDirectory(prefix="mindglm-fuzz-")
    opened = Console(sqlite_url(Path(home.name) / "console.db"), Path(home.name))
    atexit.register(home.cleanup)
    atexit.register(opened.close)
    return opened
