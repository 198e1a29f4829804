import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from bot.outgoing.journal import Journal, Unwritten, left_behind, open_journal

KILLED = """
import os, signal, sys
from pathlib import Path
from uuid import UUID
from bot.outgoing.journal import Journal
journal = Journal(Path(sys.argv[1]), UUID(int=7))
for number in range(1, int(sys.argv[2]) + 1):
    journal.begin(UUID(int=number))
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(directory: Path, begun: int) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(directory), str(begun)], check=False)


def test_a_killed_process_leaves_what_it_had_begun(tmp_path: Path) -> None:
    killed(tmp_path, 3)
    (dead,) = left_behind(tmp_path)
    with dead:
        assert dead.owner == UUID(int=7)
        assert dead.begun == {UUID(int=1), UUID(int=2), UUID(int=3)}


def test_of_many_the_latest_are_kept_in_a_file_that_does_not_grow(tmp_path: Path) -> None:
    killed(tmp_path, 10_000)
    (dead,) = left_behind(tmp_path)
    with dead:
        assert {UUID(int=number) for number in range(9_000, 10_001)} <= dead.begun
        assert (tmp_path / f"{dead.owner}.journal").stat().st_size == 4096 * 16


def test_it_is_deleted_when_it_was_dealt_with_and_kept_when_that_failed(tmp_path: Path) -> None:
    killed(tmp_path, 1)
    (dead,) = left_behind(tmp_path)
    with pytest.raises(OSError, match="the database is away"), dead:
        raise OSError("the database is away")
    (dead,) = left_behind(tmp_path)
    with dead:
        pass
    assert not list(left_behind(tmp_path))


def test_that_of_a_living_process_is_left_alone_and_gone_when_it_closes(tmp_path: Path) -> None:
    journal = Journal(tmp_path, uuid4())
    journal.begin(uuid4())
    assert not list(left_behind(tmp_path))
    journal.close(is_settled=True)
    assert not list(tmp_path.iterdir())


def test_that_of_a_process_that_could_not_mark_all_is_left_to_its_successor(tmp_path: Path) -> None:
    journal, begun = Journal(tmp_path, uuid4()), uuid4()
    journal.begin(begun)
    journal.close(is_settled=False)
    (dead,) = left_behind(tmp_path)
    with dead:
        assert (dead.owner, dead.begun) == (journal.owner, {begun})


def test_where_none_can_be_written_the_courier_works_without_one(tmp_path: Path) -> None:
    (tmp_path / "journals").write_text("in the way")
    journal = open_journal(tmp_path)
    assert isinstance(journal, Unwritten)
    journal.begin(uuid4())
    journal.close(is_settled=True)
