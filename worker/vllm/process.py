"""One run of a server: its process group, its output, its end."""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from worker.vllm import guardian

_LOG_BYTES = 10_000_000
_KEPT_LOGS = 2
_KEPT_LINES = 400
_MAX_LINE = 300
_MARGIN_SECONDS = 5.0
_PREFIX = re.compile(
    r"^(?:\x1b\[[0-9;]*m|\([^)]*pid=\d+\)|\s|(?:INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:]+|\[\S+:\d+\])+"
)
"""What vLLM puts in front of each line: colours, the process, the level, the time, the place in its code."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_ERROR = re.compile(r"^(?:[\w.-]+: )?(?:[\w.]*(?:Error|Exception|Exit)|error|fatal)\b.*?: *\S", re.IGNORECASE)
_CONSEQUENCE = re.compile(r"See root cause above|Engine core initialization failed|WorkerProc initialization failed")


class ServerProcess:
    """A command in a session of its own. It ends with this process, even if that is killed."""

    def __init__(self, argv: Sequence[str], *, environment: Mapping[str, str], log: Path, grace_seconds: float) -> None:
        """Raises `OSError` if the command cannot be run."""
        self._grace_seconds = grace_seconds
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._log = RotatingFileHandler(log, maxBytes=_LOG_BYTES, backupCount=_KEPT_LOGS, encoding="utf-8", delay=True)
        self._process = subprocess.Popen(  # noqa: S603 - the operator's own command
            [sys.executable, "-I", "-S", guardian.__file__, str(grace_seconds), *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="vllm-output", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.end()

    def status(self) -> int | None:
        """As a shell gives it; None while the server runs."""
        return self._process.poll()

    @property
    def newest_line(self) -> str:
        """The last that it wrote."""
        return self._lines[-1] if self._lines else ""

    def sentence(self) -> str:
        """What it said of its end: its last error that is not the consequence of another, or its last line."""
        self._reader.join(_MARGIN_SECONDS)  # what it wrote last may not be read yet
        errors = [line for line in self._lines if _ERROR.search(line) and not _CONSEQUENCE.search(line)]
        return errors[-1] if errors else self.newest_line

    def end(self) -> None:
        """Ask it to end, and kill after its grace what is left of it. A second call does nothing."""
        self._close(self._process.stdin)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self._grace_seconds + _MARGIN_SECONDS)
        _kill_session(self._process.pid)  # what a killed guardian left behind
        self._process.wait()
        self._reader.join(_MARGIN_SECONDS)
        self._close(self._process.stdout)
        self._log.close()

    def _read(self) -> None:
        with suppress(ValueError, OSError):  # closed by `end` while a stray child still held the other side
            for raw in self._process.stdout or ():
                line = raw.decode("utf-8", "replace").rstrip()
                self._log.emit(logging.LogRecord("vllm", logging.INFO, "", 0, _COLOURS.sub("", line), None, None))
                if bare := _PREFIX.sub("", line).strip():
                    self._lines.append(bare[:_MAX_LINE])

    @staticmethod
    def _close(pipe: IO[bytes] | None) -> None:
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _kill_session(leader: int) -> None:
    for process_id in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process_id) == leader:
                os.kill(process_id, signal.SIGKILL)
