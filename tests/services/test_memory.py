"""Where the tests' temporary files lie."""

import atexit
import os
import tempfile
from pathlib import Path

import pytest

from tests.services import memory


@pytest.fixture(autouse=True)
def shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What stands for the machine's shared memory; nothing that is set outlasts the test."""
    monkeypatch.setattr(memory, "_SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(memory, "_NEEDED_BYTES", 0)
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())
    monkeypatch.setattr(atexit, "register", lambda *_: None)
    monkeypatch.setenv("TMPDIR", "")
    monkeypatch.delenv("TMPDIR")
    return tmp_path


def test_temporary_files_lie_in_a_directory_of_this_run(shared: Path) -> None:
    memory.use_memory()
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(shared / f"mg-{os.getpid()}")


def test_what_is_set_stays(monkeypatch: pytest.MonkeyPatch, shared: Path) -> None:
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    memory.use_memory()
    assert os.environ["TMPDIR"] == "/elsewhere"
    assert not list(shared.iterdir())


def test_where_there_is_no_room_the_disk_is_used(monkeypatch: pytest.MonkeyPatch, shared: Path) -> None:
    monkeypatch.setattr(memory, "_NEEDED_BYTES", 2**63)
    memory.use_memory()
    assert "TMPDIR" not in os.environ
    assert not list(shared.iterdir())


def test_what_a_killed_run_left_is_discarded_and_what_another_one_uses_is_not(shared: Path) -> None:
    left, used = shared / f"mg-{2**30}", shared / "mindglm-tests-1"
    for directory in (left, used):
        directory.mkdir()
    memory.use_memory()
    assert not left.exists()
    assert used.exists()


@pytest.mark.parametrize("is_kept", [True, False])
def test_at_the_end_only_the_files_of_failed_tests_stay(shared: Path, is_kept: bool) -> None:
    directory = shared / "pytest-of-somebody" / "pytest-0"
    directory.mkdir(parents=True)
    if is_kept:
        (directory / "test.db").touch()
    memory._discard_without_files(directory.parent)
    assert directory.exists() == is_kept
