"""``pytest --processes N``: the process that collects forks N others, hands out tests and reports what they report."""

import math
import os
import signal
import sys
import threading
import time
import warnings
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pytest

from tests.parallel import slow_files
from tests.parallel.child import run_tests
from tests.parallel.stretches import Stretches

_AHEAD = 2
"""Tests that a process has at hand: the one that it runs, and the next."""
_END_SECONDS = 30.0
_LONG_TAIL_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class _Child:
    number: int
    pid: int
    connection: Connection
    given: deque[int] = field(default_factory=deque)
    has_all: bool = False


class Parallel:
    """Where tests cannot be collected, or are to be debugged, pytest's own loop does the rest."""

    def __init__(
        self, process_count: int, after_fork: Callable[[int], None], *, learns_slow_files: bool = False
    ) -> None:
        """`after_fork` is called in each process, with its number from 0."""
        self._process_count = process_count
        self._after_fork = after_fork
        self._children: dict[Connection, _Child] = {}
        self._learns_slow_files = learns_slow_files
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._idle_since: float | None = None
        self._tail_seconds = 0.0
        self._in_tail: defaultdict[str, float] = defaultdict(float)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        options = session.config.option
        if session.testsfailed or options.collectonly or options.usepdb or not session.items:
            return None
        self._session = session
        _refuse_threads()
        files = [item.nodeid.partition("::")[0] for item in session.items]
        self._stretches = Stretches(files, self._process_count, slow_files.read())
        session.config.pluginmanager.getplugin("terminalreporter").showfspath = False
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # one for all
        try:
            for number in range(min(self._process_count, len(session.items))):
                self._fork(number)
            while self._children:
                for connection in wait(list(self._children)):
                    self._hear(self._children[connection])  # type: ignore[index]  # all are `Connection`s
        finally:
            self._end()
        self._tail_seconds = time.monotonic() - (self._idle_since or math.inf)
        if self._learns_slow_files:
            slow_files.write(self._seconds)
        return True

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._tail_seconds > _LONG_TAIL_SECONDS:
            slowest = max(self._in_tail, key=lambda test: self._in_tail[test])
            terminalreporter.write_line(
                f"For the last {self._tail_seconds:.0f} seconds not all processes had tests to run; "
                f"the slowest then was {slowest}. In a whole run --learn-slow-files lets such tests begin early."
            )

    def _fork(self, number: int) -> None:
        ours, its = Pipe()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # or it would be written by both
        pid = os.fork()
        if pid == 0:
            for connection in (ours, *self._children):
                connection.close()
            self._after_fork(number)
            run_tests(self._session, its)
        its.close()
        child = _Child(number=number, pid=pid, connection=ours)
        self._children[ours] = child
        for _ in range(_AHEAD):
            self._give(child)

    def _give(self, child: _Child) -> None:
        if child.has_all:
            return
        test = self._stretches.take(child.number)
        child.has_all = test is None
        if child.has_all and self._idle_since is None:
            self._idle_since = time.monotonic()
        if test is not None:
            child.given.append(test)
        with suppress(BrokenPipeError):  # it is dead, as is heard next
            child.connection.send(test)

    def _hear(self, child: _Child) -> None:
        try:
            kind, data = child.connection.recv()
        except (EOFError, ConnectionResetError):
            self._bury(child)
            return
        if kind == "report":
            self._report(data)
        elif kind == "warning":
            self._warn(*data)
        else:
            self._give(child)
            self._finish(child)

    def _report(self, data: dict[str, Any]) -> None:
        hook = self._session.config.hook
        report: Any = hook.pytest_report_from_serializable(config=self._session.config, data=data)
        if report.when == "setup":
            hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
        hook.pytest_runtest_logreport(report=report)
        self._seconds[report.nodeid.partition("::")[0]] += report.duration
        if self._idle_since is not None:
            self._in_tail[report.nodeid] += report.duration

    def _warn(self, text: str, filename: str, line: int, nodeid: str) -> None:
        message = warnings.WarningMessage(pytest.PytestWarning(text), pytest.PytestWarning, filename, line)
        self._session.config.hook.pytest_warning_recorded.call_historic(
            kwargs={"warning_message": message, "when": "runtest", "nodeid": nodeid, "location": None}
        )

    def _finish(self, child: _Child) -> None:
        item = self._session.items[child.given.popleft()]
        self._session.config.hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)
        if self._session.shouldstop:
            raise self._session.Interrupted(self._session.shouldstop)

    def _bury(self, child: _Child) -> None:
        """A process that ends in the middle of a test fails that test; another takes its place."""
        del self._children[child.connection]
        child.connection.close()
        status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
        if not child.given:
            if status != 0:
                raise RuntimeError(f"Process {child.number} of the tests ended with {status} after its last test")
            return
        item = self._session.items[child.given[0]]
        report = pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome="failed",
            longrepr=f"The process that ran this test ended with {status}",
            when="call",
        )
        item.ihook.pytest_runtest_logreport(report=report)
        self._finish(child)
        for test in child.given:
            self._stretches.put_back(test)
        self._fork(child.number)

    def _end(self) -> None:
        """Processes that still run, because of Ctrl-C or ``-x``, put away what they use."""
        for child in self._children.values():
            os.kill(child.pid, signal.SIGINT)
            child.connection.close()
        deadline = time.monotonic() + _END_SECONDS
        for child in self._children.values():
            while os.waitpid(child.pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    os.kill(child.pid, signal.SIGKILL)
                time.sleep(0.02)
        self._children.clear()


def _refuse_threads() -> None:
    """A fork has only the thread that forked: what another one held locked is locked in it for ever."""
    tasks = Path("/proc/self/task")
    named = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    count = len(list(tasks.iterdir())) if tasks.exists() else 1 + len(named)
    if count > 1:
        whose = ", ".join(named) or "of a library, not of Python"
        raise pytest.UsageError(f"{count - 1} threads were started while tests were collected ({whose})")
