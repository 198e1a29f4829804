"""`mindglm up` as an operator starts it."""

import signal
import subprocess
import sys
from pathlib import Path

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
from rich.console import Console
from mindglm.supervise import Program
from mindglm.up import supervise

def program(name):
    return Program(name=name, argv=[sys.executable, "-c", "import time; time.sleep(600)"], log=Path(f"{name}.log"))

asyncio.run(supervise([program(name) for name in sys.argv[1:]], Console(stderr=True, width=200)))
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
