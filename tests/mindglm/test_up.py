"""`mindglm up` as an operator starts it."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dialogue.errors import DatabaseDamaged
from dialogue.process import home
from dialogue.process.file_lock import try_lock
from dialogue.process.settings import DialogueSettings
from mindglm import local_processes, up
from tests.patience import wait_until
from tests.road.harness import is_alive


def test_without_any_channel_it_says_what_to_set() -> None:
    done = subprocess.run([sys.executable, "-m", "mindglm", "up"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "MINDGLM_TELEGRAM_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


SCRIPT = """
import asyncio, sys
from pathlib import Path
from mindglm.supervise import Program
from mindglm.supervisor import supervise

def program(name):
    return Program(name=name, argv=[sys.executable, "-c", "import time; time.sleep(600)"], log=Path(f"{name}.log"))

asyncio.run(supervise([program(name) for name in sys.argv[1:]]))
"""


class Supervisor:
    """The heart of `mindglm up` around processes that do nothing."""

    def __init__(self, directory: Path, *names: str) -> None:
        self._said = directory / "said"
        with self._said.open("w") as said:
            self.process = subprocess.Popen([sys.executable, "-c", SCRIPT, *names], stderr=said, cwd=directory)
        wait_until(lambda: self.said().count("ready") == len(names), 20)

    def said(self) -> str:
        return self._said.read_text()

    def pids(self) -> list[int]:
        return [int(line.split("pid ")[1].rstrip(")")) for line in self.said().splitlines() if "pid" in line]


def test_it_prints_a_line_for_each_piece_and_stops_the_last_one_first(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, "broker", "worker", "telegram")
    supervisor.process.send_signal(signal.SIGTERM)
    assert supervisor.process.wait(20) == 0
    stopped = [line.split()[1] for line in supervisor.said().splitlines() if line.endswith("stopped")]
    assert stopped == ["telegram", "worker", "broker"]
    assert not any(is_alive(pid) for pid in supervisor.pids())


def test_a_killed_supervisor_takes_its_processes_along(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, "one")
    supervisor.process.kill()
    supervisor.process.wait()
    (pid,) = supervisor.pids()
    wait_until(lambda: not is_alive(pid), 10)


@pytest.fixture
def with_a_channel(monkeypatch: pytest.MonkeyPatch) -> DialogueSettings:
    monkeypatch.setenv("MINDGLM_TELEGRAM_TOKEN", "1:a")
    return DialogueSettings.read()


def test_a_second_one_on_the_same_home_is_refused_in_a_sentence(with_a_channel: DialogueSettings) -> None:
    lock = try_lock(home.home(with_a_channel) / "up.lock")
    assert lock is not None
    with lock, pytest.raises(up.AlreadyUp, match="MINDGLM_HOME"):
        up.run(with_a_channel)


def test_a_misspelt_setting_is_named_with_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MINDGLM_RETENTON_DAYS", "7-secret")
    assert up.run(DialogueSettings.read()) == 2
    said = capsys.readouterr().err
    assert "MINDGLM_RETENTON_DAYS" in said
    assert "MINDGLM_RETENTION_DAYS?" in said
    assert "7-secret" not in said


def test_a_file_that_is_no_database_is_named_in_a_sentence(with_a_channel: DialogueSettings) -> None:
    (home.home(with_a_channel) / "mindglm.db").write_bytes(b"not what it was" * 1000)
    with pytest.raises(DatabaseDamaged, match="mindglm admin restore"):
        up.run(with_a_channel)


def test_a_backup_a_day_is_made_unless_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    backups = local_processes.backups(DialogueSettings.read())
    assert backups is not None
    assert backups.argv[-4:] == ["--every-hours", "24", "--keep", "7"]
    monkeypatch.setenv("MINDGLM_BACKUP_KEEP", "0")
    assert local_processes.backups(DialogueSettings.read()) is None


def test_the_process_that_stays_is_the_same_holds_the_lock_and_is_small(tmp_path: Path) -> None:
    log, marker = tmp_path / "log", tmp_path / "up.lock"
    script = f"""
import sys
from pathlib import Path
import sqlalchemy, rich.console
from dialogue.process.file_lock import try_lock
from mindglm import supervisor
from mindglm.supervise import Program
argv = [sys.executable, "-c", "import time; time.sleep(600)"]
supervisor.become([Program(name="one", argv=argv, log=Path("one.log"))], try_lock(Path({str(marker)!r})))
"""
    with log.open("w") as said:
        process = subprocess.Popen([sys.executable, "-c", script], stderr=said, cwd=tmp_path)
    wait_until(lambda: "ready" in log.read_text(), 20)
    assert psutil.Process(process.pid).memory_info().rss < 25 * 2**20
    assert try_lock(marker) is None
    (child,) = psutil.Process(process.pid).children()
    assert str(marker) not in {file.path for file in child.open_files()}
    process.terminate()
    assert process.wait(20) == 0
    assert not child.is_running()
    lock = try_lock(marker)
    assert lock is not None
    lock.close()


def test_a_program_that_can_never_run_ends_it_with_its_own_words(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from dialogue.process.file_lock import try_lock
from mindglm import supervisor
from mindglm.supervise import Program
argv = [sys.executable, "-c", "import sys; print('the key is wrong'); sys.exit(78)"]
program = Program(name="worker", argv=argv, log=Path("one.log"), is_notifying=True)
supervisor.become([program], try_lock(Path({str(tmp_path / "up.lock")!r})))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 78
    assert done.stderr.splitlines()[-1] == "worker cannot run: the key is wrong"
