"""`mindglm admin backup` and `restore` as an operator types them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from dialogue.admin import audit
from dialogue.errors import Misconfigured, WrongSecretKey
from dialogue.process import home
from dialogue.process.key_file import master_keys
from dialogue.process.settings import DialogueSettings
from dialogue.storage.database import Database, connect, sqlite_url
from dialogue.storage.vault import new_secret
from dialogue.tables import Person
from mindglm.admin import app
from tests.builders import Rooms
from tests.patience import wait_until
from tests.services.migrated import migrate


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rooms]:
    monkeypatch.setenv("COLUMNS", "200")
    settings = DialogueSettings.read()
    migrate(home.database_url(settings))
    database = connect(home.database_url(settings))
    filled = Rooms(database, master_keys(settings))
    filled.answered("睡不着", "我在听")
    yield filled
    database.close()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The next command finds this one, which is empty."""
    url = sqlite_url(tmp_path / "elsewhere.db")
    monkeypatch.setenv("MINDGLM_DATABASE_URL", url)
    database = connect(url)
    yield database
    database.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def written(directory: Path) -> Path:
    (path,) = directory.glob("mindglm-*.jsonl.gz")
    return path


def test_a_backup_is_written_audited_and_says_which_key_opens_it(rooms: Rooms, tmp_path: Path) -> None:
    result = run("backup", str(tmp_path / "backups"))
    assert result.exit_code == 0, result.output
    assert "1 people" in result.output
    assert rooms.keys.current_id in result.output
    with rooms.database.read() as session:
        (entry,) = audit.entries(session, action="backup")
        assert entry.reason == written(tmp_path / "backups").name


def test_it_comes_back_elsewhere(rooms: Rooms, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    assert run("backup", str(tmp_path / "backups")).exit_code == 0
    database: Database = request.getfixturevalue("elsewhere")
    result = run("restore", str(written(tmp_path / "backups")), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["counts"]["people"] == 1
    with database.read() as session:
        assert session.scalars(select(Person.channel)).all() == ["test"]


def test_another_master_key_is_noticed_at_once(
    rooms: Rooms, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("backup", str(tmp_path / "backups"))
    request.getfixturevalue("elsewhere")
    monkeypatch.setenv("MINDGLM_SECRET_KEY", new_secret())
    assert isinstance(run("restore", str(written(tmp_path / "backups"))).exception, WrongSecretKey)


def test_a_place_that_cannot_be_written_is_named(rooms: Rooms, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("backup", str(tmp_path / "file" / "backups"))
    assert isinstance(result.exception, Misconfigured)
    assert str(tmp_path / "file") in str(result.exception)


def test_for_ever_means_one_each_period_until_it_is_told_to_end(rooms: Rooms, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "mindglm", "admin", "backup", str(tmp_path / "backups"), "--every-hours", "24"]
    for _ in range(2):  # a restart writes no second one
        process = subprocess.Popen(argv)
        wait_until(lambda: any((tmp_path / "backups").glob("mindglm-*")), 60)
        wait_until((tmp_path / "backups" / "keys.jsonl.gz").exists, 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in {0, -signal.SIGTERM}, "the latter before it listens"
    written(tmp_path / "backups")
