"""The console in this process, asked as a browser asks it, on either database."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from argon2 import PasswordHasher
from httpx2 import Client, Response
from pydantic import SecretStr

from bot.channels import registry
from console import accounts, passwords
from console.app import create_app
from console.services import ConsoleServices
from console.settings import ConsoleSettings
from dialogue.states import Role
from dialogue.storage.database import sqlite_url
from dialogue.storage.vault import new_secret
from tests.builders import FakeClock, Rooms
from tests.console.in_process import InProcess, client
from tests.services.migrated import migrate

PASSWORD = "four quiet green rivers"
NAMES = {Role.VIEWER: "wei", Role.COUNSELLOR: "lin", Role.ADMIN: "chen"}
LOOPBACK = "http://127.0.0.1:8090"


@pytest.fixture(scope="session", autouse=True)
def password_digest() -> Iterator[str]:
    """With as little effort as argon2 can make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield passwords.digest(PASSWORD, name="nobody")


@pytest.fixture(scope="session", autouse=True)
def _one_event_loop() -> Iterator[None]:
    with start_blocking_portal() as InProcess.portal:
        yield


@dataclass
class Browser:
    """Keeps cookies, and sends a form as the page that it looks at would."""

    client: Client
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> Response:
        return self.client.get(path, headers=self.headers, follow_redirects=False)

    def post(self, path: str, *, token: str | None = None, **form: str) -> Response:
        """With the token of this browser's session, unless another is given."""
        fields = {"form_token": self.token() if token is None else token, **form}
        return self.client.post(path, data=fields, headers=self.headers, follow_redirects=False)

    def token(self) -> str:
        page = self.get("/account")
        return form_token(page if page.status_code == 200 else self.get("/sign-in"))

    def sign_in(self, name: str, password: str = PASSWORD) -> Response:
        return self.post("/sign-in", token=form_token(self.get("/sign-in")), name=name, password=password)


@dataclass
class House:
    """A console with staff of every role, and the domain's use cases on the same database."""

    services: ConsoleServices
    rooms: Rooms
    clock: FakeClock
    digest: str

    def browser(self, role: Role | None = None) -> Browser:
        browser = Browser(client(create_app(self.services), LOOPBACK))
        if role is not None:
            assert browser.sign_in(NAMES[role]).status_code == 303
        return browser

    def hire(self, name: str, role: Role) -> None:
        with self.services.database.begin() as session:
            accounts.add(
                session, name=name, role=role, locale="zh", password_hash=self.digest, actor="test", now=self.clock()
            )

    def restart(self) -> None:
        """Another process on the same database."""
        self.services.close()
        self.services = ConsoleServices.open(self.services.settings, channels=registry.labels(), clock=self.clock)


def form_token(page: Response) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


@pytest.fixture
def house(tmp_path: Path, password_digest: str) -> Iterator[House]:
    url = sqlite_url(tmp_path / "test.db")
    migrate(url)
    yield from _opened(url, tmp_path, password_digest)


@pytest.fixture
def any_house(each_database: str, tmp_path: Path, password_digest: str) -> Iterator[House]:
    """For what the databases might see differently."""
    yield from _opened(each_database, tmp_path, password_digest)


def _opened(url: str, home: Path, digest: str) -> Iterator[House]:
    clock = FakeClock()
    settings = ConsoleSettings(
        home=home / "home",
        database_url=SecretStr(url),
        secret_key=SecretStr(new_secret()),
        console_second_factor="offered",  # its own tests are in test_second_factor.py
    )
    services = ConsoleServices.open(settings, channels=registry.labels(), clock=clock)
    house = House(services, Rooms(services.database, services.keys, clock), clock, digest)
    for role, name in NAMES.items():
        house.hire(name, role)
    yield house
    house.services.close()
