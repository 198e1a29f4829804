"""What a supervisor does: restarts dead processes. It also records since when each of them could not answer."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from tests.bot.wechat.ward import Process

_LOOK_SECONDS = 0.1
_RESTART_SECONDS = 0.5
_ENDED_BY_US = (-signal.SIGKILL, -signal.SIGTERM, 0)


@dataclass
class Outage:
    """A time, in seconds of the monotonic clock, in which something that must live to answer anybody did not."""

    what: str
    began_at: float
    ended_at: float | None = None


class Outages:
    """Recorded by the caller that knows; `what` is a channel or the database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Outage] = []

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        outage = self.begin(what)
        try:
            yield
        finally:
            outage.ended_at = time.monotonic()

    def begin(self, what: str) -> Outage:
        outage = Outage(what, time.monotonic())
        with self._lock:
            self._all.append(outage)
        return outage

    def end_of_last(self, *, whats: set[str], between: tuple[float, float]) -> float | None:
        """When the last outage that touched that time was over; None if there was none."""
        ends = [
            outage.ended_at or between[1]
            for outage in self._all
            if outage.what in whats
            and outage.began_at <= between[1]
            and (outage.ended_at is None or outage.ended_at >= between[0])
        ]
        return max(ends, default=None)


class Keeper:
    """Keeps one process running until it is told to let go."""

    def __init__(self, name: str, process: Process, outages: Outages, *, ready: str) -> None:
        self.name = name
        self.deaths = 0
        self.last_words: list[str] = []  # of lives that nobody had ended
        self._process = process
        self._outages = outages
        self._ready = ready
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"keeper of {name}")

    def start(self) -> None:
        self._process.start()
        self._process.wait_ready()
        self._thread.start()

    def signal(self, number: signal.Signals) -> None:
        """To the process as it is now, if it lives."""
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if self._process.is_running and self._process.pid is not None:
                psutil.Process(self._process.pid).send_signal(number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP, and SIGCONT at the end."""
        with self._outages.during(self.name):
            self.signal(signal.SIGSTOP)
            try:
                yield
            finally:
                self.signal(signal.SIGCONT)

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._process.kill()

    def _keep(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            if self._process.is_running:
                continue
            self.deaths += 1
            if self._process.status not in _ENDED_BY_US:
                self.last_words.append(f"{self.name} ({self._process.status}): {self._process.last_log()[-300:]}")
            with self._outages.during(self.name):
                time.sleep(_RESTART_SECONDS)
                self._process.start()
                self._wait_ready()

    def _wait_ready(self) -> None:
        """Or until it died again."""
        while self._process.is_running and not self._stopping.is_set() and self._ready not in self._process.last_log():
            time.sleep(_LOOK_SECONDS)
