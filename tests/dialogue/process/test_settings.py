from pathlib import Path

import pytest

from dialogue.errors import Misconfigured
from dialogue.process import home
from dialogue.process.settings import DialogueSettings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A secret's file, named by the environment."""
    path = tmp_path / "secret"
    path.write_text("a secret\n")
    monkeypatch.setenv("MINDGLM_SECRET_KEY_FILE", str(path))
    return path


def secret() -> str | None:
    key = DialogueSettings.read().secret_key
    return key.get_secret_value() if key else None


def test_a_secret_may_stand_in_a_file(file: Path) -> None:
    assert secret() == "a secret"


def test_env_may_name_the_file_too(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file")
    (tmp_path / ".env").write_text(f"MINDGLM_SECRET_KEY_FILE={tmp_path / 'token'}\n")
    assert secret() == "from a file"


def test_an_empty_name_of_a_file_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_SECRET_KEY_FILE", "")
    assert secret() is None


def test_the_secret_itself_and_its_file_at_once_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_SECRET_KEY", "another")
    with pytest.raises(Misconfigured, match="MINDGLM_SECRET_KEY and MINDGLM_SECRET_KEY_FILE are both set"):
        secret()


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", b"\xff\xfe", b"x" * 100_000])
def test_a_file_that_holds_no_secret_is_refused_without_showing_it(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(Misconfigured, match="MINDGLM_SECRET_KEY_FILE") as raised:
        secret()
    assert "one" not in str(raised.value).replace("is not a single line", "")


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MINDGLM_SECRET_KEY_FILE", str(tmp_path / name))
    with pytest.raises(Misconfigured, match="MINDGLM_SECRET_KEY_FILE cannot be read"):
        secret()


def test_what_is_no_secret_is_not_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_REGION_FILE", str(tmp_path / "missing"))
    assert DialogueSettings.read().region == "cn"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql+psycopg://bot@host/db", "postgresql+psycopg://bot:p%40ss%2Fword@host/db"),
        ("postgresql+psycopg://bot@/db?host=/run/pg", "postgresql+psycopg://bot:p%40ss%2Fword@/db?host=/run/pg"),
    ],
)
def test_the_databases_password_may_stand_apart(monkeypatch: pytest.MonkeyPatch, given: str, used: str) -> None:
    monkeypatch.setenv("MINDGLM_DATABASE_URL", given)
    monkeypatch.setenv("MINDGLM_DATABASE_PASSWORD", "p@ss/word")
    assert home.database_url(DialogueSettings.read()) == used


def test_the_brokers_password_may_stand_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGLM_BROKER_URL", "redis://redis:6379/0")
    monkeypatch.setenv("MINDGLM_BROKER_PASSWORD", "p@ss")
    assert home.broker_url(DialogueSettings.read()) == "redis://:p%40ss@redis:6379/0"


@pytest.mark.parametrize("url", ["postgresql+psycopg://bot:one@host/db", "sqlite:////var/lib/mindglm.db"])
def test_a_password_that_has_no_place_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MINDGLM_DATABASE_URL", url)
    monkeypatch.setenv("MINDGLM_DATABASE_PASSWORD", "two")
    with pytest.raises(Misconfigured, match="MINDGLM_DATABASE_PASSWORD") as raised:
        home.database_url(DialogueSettings.read())
    assert "two" not in str(raised.value)
