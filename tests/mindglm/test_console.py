import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner

from console import accounts, passwords
from console.passwords import WeakPassword
from console.security import host_names, is_exposed
from console.settings import ConsoleSettings
from dialogue.errors import Misconfigured
from dialogue.process.exit_status import ExitStatus
from dialogue.states import Role
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database, connect, sqlite_url
from mindglm.console import app

PASSWORD = "four quiet green rivers"


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def console(*words: str, typed: str = "") -> str:
    outcome = CliRunner().invoke(app, words, input=typed)
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    return outcome.output


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """That of the home; opened when the command has made it."""
    return connect(sqlite_url(tmp_path / "home" / "mindglm.db"))


def test_a_member_is_added_with_the_password_from_standard_input(database: Database) -> None:
    assert "lin may sign in" in console("add-user", "Lin", "--role", "counsellor", typed=f"{PASSWORD}\n")
    with database.read() as session:
        member = accounts.by_name(session, "lin")
    assert member is not None
    assert member.role is Role.COUNSELLOR
    assert passwords.fits(member.password_hash, PASSWORD)
    database.close()


def test_a_link_lets_them_choose_one_and_one_who_forgot_it_choose_again(database: Database) -> None:
    for words in (("add-user", "lin", "--link"), ("reset-password", "LIN")):
        url = console(*words).strip()
        assert url.startswith("http://127.0.0.1:8090/welcome/")
        with database.read() as session:
            assert accounts.find_link(session, url.rpartition("/")[2], now=utc_now()).name == "lin"
    database.close()


def test_what_cannot_be_is_said_in_a_line() -> None:
    with pytest.raises(Misconfigured, match="--role must be one of viewer, counsellor, admin"):
        console("add-user", "lin", "--role", "boss")
    with pytest.raises(WeakPassword):
        console("add-user", "lin", typed="short\n")
    with pytest.raises(Misconfigured, match="Nobody is called lin"):
        console("reset-password", "lin")
    console("add-user", "lin", "--link")
    with pytest.raises(accounts.NameTaken):
        console("add-user", "Lin", "--link")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LISTEN", "8090"),
        ("LISTEN", "127.0.0.1:99999"),
        ("URL", "http://console.example.org"),
        ("URL", "https://console.example.org/path"),
        ("TIME_ZONE", "Beijing"),
        ("IDLE_MINUTES", "0"),
    ],
)
def test_a_setting_that_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"MINDGLM_CONSOLE_{name}", value)
    with pytest.raises(Misconfigured, match=f"MINDGLM_CONSOLE_{name}"):
        ConsoleSettings.read()


@pytest.mark.parametrize(
    ("listen", "url", "exposed", "names"),
    [
        ("127.0.0.1:8090", None, False, {"localhost", "127.0.0.1", "::1"}),
        ("[::1]:8090", None, False, {"localhost", "127.0.0.1", "::1"}),
        ("192.0.2.7:8090", None, True, {"localhost", "127.0.0.1", "::1", "192.0.2.7"}),
        ("0.0.0.0:8090", None, True, None),
        ("0.0.0.0:8090", "https://care.example.org:8443", False, {"localhost", "127.0.0.1", "::1", "care.example.org"}),
    ],
)
def test_who_listens_where(listen: str, url: str | None, exposed: bool, names: set[str] | None) -> None:
    settings = ConsoleSettings(console_listen=listen, console_url=url)
    assert is_exposed(settings) is exposed
    assert host_names(settings) == names


def test_an_address_that_is_taken_is_a_sentence_and_the_status_of_the_table(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        place = {"MINDGLM_HOME": str(tmp_path), "MINDGLM_CONSOLE_LISTEN": listen, "MINDGLM_LOCALE": "zh"}
        argv = [sys.executable, "-m", "mindglm", "console"]
        done = subprocess.run(argv, env=os.environ | place, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == ExitStatus.UNAVAILABLE
    assert f"无法监听 {listen}" in done.stderr
