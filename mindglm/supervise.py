"""Keeps processes running: starts them, restarts them with back-off, stops them in reverse order.

A process that several supervisors share (the private Valkey, the worker of one home) is guarded by a file lock: one
of them runs it, the others use it and take over when that one is gone.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from dialogue.process.ending import end_tasks
from dialogue.process.exit_status import ExitStatus
from dialogue.process.file_lock import try_lock
from mindglm.tether import tethered

_LOOK_SECONDS = 0.1
_FIRST_BACK_OFF_SECONDS = 0.5
_MAX_BACK_OFF_SECONDS = 30.0
_HOPELESS_PAUSE_SECONDS = 300.0
_STABLE_SECONDS = 30.0
MAX_LOG_BYTES = 10_000_000
KEPT_LOGS = 3

Report = Callable[[str, str], None]
"""Called with a process's name and one line about it."""


class FinalExit(Exception):
    """A process that was never ready ended with an error that a restart cannot fix; the message is its own."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How to run a process. `lock` names the file that only one running copy may hold."""

    name: str
    argv: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    grace_seconds: float = 60
    lock: Path | None = None
    is_notifying: bool = False


class Kept:
    """One process that is kept running until `stop`."""

    def __init__(self, program: Program, report: Report) -> None:
        self.program = program
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=self.program.name)

    async def wait_ready(self) -> None:
        """Until it said that it is ready, or another supervisor runs it; raises `FinalExit`."""
        if self._task is None:
            raise RuntimeError("start() comes first")
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
        await end_tasks((ready,))
        if self._task.done():
            self._task.result()

    async def watch(self) -> None:
        """Until it ends for good; raises `FinalExit`."""
        if self._task is not None:
            await self._task

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after the program's grace."""
        if self._task is not None:
            await end_tasks((self._task,))
        await self._end()
        self._unlock()

    async def _keep(self) -> None:
        back_off_seconds = _FIRST_BACK_OFF_SECONDS
        while True:
            if not self._try_lock():
                self._ready.set()  # somebody else runs it
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            started_at = time.monotonic()
            status = await self._run()
            if time.monotonic() - started_at > _STABLE_SECONDS:
                back_off_seconds = _FIRST_BACK_OFF_SECONDS
            pause_seconds = self._pause_after(status, back_off_seconds)
            self._report(self.program.name, f"{_words(status)}; starts again in {pause_seconds:g} s")
            await asyncio.sleep(pause_seconds)
            back_off_seconds = min(back_off_seconds * 2, _MAX_BACK_OFF_SECONDS)

    def _pause_after(self, status: int, back_off_seconds: float) -> float:
        """What ran before and now says that it cannot may be told nonsense by others: it is tried now and then."""
        return _HOPELESS_PAUSE_SECONDS if status == ExitStatus.CONFIG else back_off_seconds

    async def _run(self) -> int:
        with tempfile.TemporaryDirectory(prefix="mindglm-") as directory, _Notices(Path(directory)) as notices:
            log_size = self.program.log.stat().st_size if self.program.log.exists() else 0
            self._process = _spawn(self.program, notices.path)
            self._report(self.program.name, f"started (pid {self._process.pid})")
            while (status := self._process.poll()) is None:
                if not self._ready.is_set() and (not self.program.is_notifying or notices.has_come()):
                    self._ready.set()
                    self._report(self.program.name, "ready")
                log_size = min(log_size, rotate(self.program.log))
                await asyncio.sleep(_LOOK_SECONDS)
        if status == ExitStatus.CONFIG and not (self.program.is_notifying and self._ready.is_set()):
            raise FinalExit(self.program.name, _last_line(self.program.log, log_size))
        return status

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, self.program.grace_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
        self._report(self.program.name, "stopped")

    def _try_lock(self) -> bool:
        if self.program.lock is None or self._lock is not None:
            return True
        self._lock = try_lock(self.program.lock)
        return self._lock is not None

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class _Notices:
    """A socket on which a process says that it is ready (sd_notify)."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "notify.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        self._socket.bind(os.fspath(self.path))
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def has_come(self) -> bool:
        try:
            return b"READY=1" in self._socket.recv(1024)
        except BlockingIOError:
            return False


def rotate(log: Path) -> int:
    """Keep a log small; returns its size (bytes).

    The process goes on writing to the same open file, at its new end; a line written during the copy may be lost.
    """
    size = log.stat().st_size
    if size <= MAX_LOG_BYTES:
        return size
    for number in range(KEPT_LOGS - 1, 0, -1):
        older = _numbered(log, number)
        if older.exists():
            older.replace(_numbered(log, number + 1))
    shutil.copyfile(log, _numbered(log, 1))
    os.truncate(log, 0)
    return 0


def _numbered(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


def _spawn(program: Program, notify_socket: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, so that Ctrl-C in the terminal reaches only the supervisor, who stops it in order."""
    environment = {**os.environ, **program.environment, "NOTIFY_SOCKET": os.fspath(notify_socket)}
    program.log.parent.mkdir(parents=True, exist_ok=True)
    with program.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own programs
            tethered(program.argv),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )


def _last_line(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"see {log}"


def _words(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"
