"""Real little processes: kept running, restarted with back-off, stopped in order, shared by a lock."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from mindglm import supervise
from mindglm.supervise import FinalExit, Kept, Program
from tests.patience import until

NOTIFY = (
    "import socket,os; socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM).sendto(b'READY=1',os.environ['NOTIFY_SOCKET'])"
)
FOREVER = "import time; time.sleep(600)"


class Reports:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, name: str, line: str) -> None:
        self.lines.append(line)

    def count(self, word: str) -> int:
        return sum(word in line for line in self.lines)


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Program]:
    def make(code: str, *, lock: Path | None = None, is_notifying: bool = False, grace_seconds: float = 5) -> Program:
        return Program(
            name="little",
            argv=[sys.executable, "-c", code],
            log=tmp_path / "logs" / "little.log",
            lock=lock,
            is_notifying=is_notifying,
            grace_seconds=grace_seconds,
        )

    return make


def pid_of(kept: Kept) -> int:
    assert kept._process is not None
    return kept._process.pid


async def test_a_process_that_dies_is_started_again_after_growing_pauses(program: Callable[..., Program]) -> None:
    reports = Reports()
    kept = Kept(program("raise SystemExit(3)"), reports)
    kept.start()
    await until(lambda: reports.count("starts again") >= 3)
    await kept.stop()
    pauses = [line.rsplit(" in ", 1)[1] for line in reports.lines if "starts again" in line][:3]
    assert pauses == ["0.5 s", "1 s", "2 s"]
    assert reports.count("ended with status 3") >= 3


async def test_a_killed_process_is_named_by_its_signal(program: Callable[..., Program]) -> None:
    reports = Reports()
    kept = Kept(program(FOREVER), reports)
    kept.start()
    await kept.wait_ready()
    psutil.Process(pid_of(kept)).kill()
    await until(lambda: reports.count("SIGKILL"))
    await until(lambda: reports.count("started") == 2)
    await kept.stop()


async def test_stopping_leaves_no_process(program: Callable[..., Program]) -> None:
    kept = Kept(program(FOREVER), Reports())
    kept.start()
    await kept.wait_ready()
    pid = pid_of(kept)
    await kept.stop()
    assert not psutil.pid_exists(pid)


async def test_a_process_that_will_not_stop_is_killed_after_its_grace(program: Callable[..., Program]) -> None:
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {NOTIFY}; {FOREVER}"
    kept = Kept(program(stubborn, is_notifying=True, grace_seconds=0.5), Reports())
    kept.start()
    await kept.wait_ready()
    pid = pid_of(kept)
    began_at = time.monotonic()
    await kept.stop()
    assert time.monotonic() - began_at < 5
    assert not psutil.pid_exists(pid)


async def test_ready_is_when_the_process_says_so(program: Callable[..., Program]) -> None:
    kept = Kept(program(f"import time; time.sleep(1); {NOTIFY}; {FOREVER}", is_notifying=True), Reports())
    began_at = time.monotonic()
    kept.start()
    await kept.wait_ready()
    assert time.monotonic() - began_at >= 1
    await kept.stop()


async def test_a_process_that_cannot_run_at_all_says_why_and_is_not_tried_again(
    program: Callable[..., Program],
) -> None:
    code = f"import sys; sys.stderr.write('noise\\nthe key is wrong\\n'); sys.exit({os.EX_CONFIG})"
    kept = Kept(program(code, is_notifying=True), Reports())
    kept.start()
    with pytest.raises(FinalExit, match="the key is wrong"):
        await kept.wait_ready()
    await kept.stop()


async def test_one_that_ran_before_and_then_cannot_is_tried_again_later_and_ends_nothing(
    program: Callable[..., Program],
) -> None:
    reports = Reports()
    kept = Kept(program(f"import time; {NOTIFY}; time.sleep(1); raise SystemExit(78)", is_notifying=True), reports)
    kept.start()
    await kept.wait_ready()
    await until(lambda: reports.count("ended with status 78; starts again in 300 s"))
    await kept.stop()


async def test_of_two_supervisors_one_runs_it_and_the_other_takes_over(
    program: Callable[..., Program], tmp_path: Path
) -> None:
    first_reports, second_reports = Reports(), Reports()
    first = Kept(program(FOREVER, lock=tmp_path / "lock"), first_reports)
    second = Kept(program(FOREVER, lock=tmp_path / "lock"), second_reports)
    first.start()
    await first.wait_ready()
    second.start()
    await second.wait_ready()
    assert second_reports.lines == []
    await first.stop()
    await until(lambda: second_reports.count("started"))
    await second.stop()


def test_a_log_is_rotated_under_a_process_that_writes_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "MAX_LOG_BYTES", 100)
    log = tmp_path / "little.log"
    with log.open("ab", buffering=0) as writing:
        for number in range(6):
            writing.write(f"{number}".encode() * 101)
            assert supervise.rotate(log) == 0
        writing.write(b"new")
    assert log.read_bytes() == b"new"
    kept = sorted(tmp_path.glob("little.log.*"))
    assert [file.name for file in kept] == ["little.log.1", "little.log.2", "little.log.3"]
    assert [file.read_bytes()[:1] for file in kept] == [b"5", b"4", b"3"]


async def test_a_watch_that_swallows_a_cancellation_does_not_hold_up_the_stop(
    program: Callable[..., Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def swallows_one(_self: Kept) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    monkeypatch.setattr(Kept, "_keep", swallows_one)
    kept = Kept(program(FOREVER), Reports())
    kept.start()
    await asyncio.sleep(0)
    await asyncio.wait_for(kept.stop(), 10)
