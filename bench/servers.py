"""Starts and stops what a benchmark measures, in separate processes: databases, brokers and mindglm's commands."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from mindglm import valkey
from mindglm.valkey import Valkey
from tests.services.postgres import PostgresServer

_READY_SECONDS = 60.0


def postgres(stack: ExitStack, home: Path) -> tuple[str, psutil.Process]:
    """A PostgreSQL from the tests' wheel: its URL and its process."""
    directory = home / "postgres"
    directory.mkdir()
    server = PostgresServer(directory)
    server.start()
    stack.callback(server.stop)
    return server.url(), psutil.Process(int((directory / "data/postmaster.pid").read_text().split()[0]))


def broker(stack: ExitStack, home: Path) -> Valkey:
    """A private Valkey."""
    started = valkey.start(home / "valkey.sock", log_file=home / "valkey.log")
    stack.callback(started.stop)
    return started


@contextmanager
def command(name: str, environment: Mapping[str, str], log: Path, *, ready: str) -> Iterator[psutil.Process]:
    """`mindglm NAME`, from when its log says `ready`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mindglm", name],
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while ready not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def ended(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """Ends the process when the block does, and closes what was opened to it."""
    with process:
        try:
            yield
        finally:
            process.terminate()


def memory_of(process: psutil.Process) -> int:
    """Bytes of a process and its children, each shared page divided by the number of those that share it (PSS)."""
    return sum(each.memory_full_info().pss for each in (process, *_children(process)))


class ProcessorTime:
    """Seconds of processor time of named processes, and of the benchmark's own (`bench`), between two readings."""

    def __init__(self, **processes: psutil.Process) -> None:
        self._processes = {**processes, "bench": psutil.Process()}
        self._since = self._read()

    def per_turn_ms(self, turns: int) -> dict[str, float]:
        """Since the start, by process and its children, in milliseconds a turn."""
        now = self._read()
        return {name: round((now[name] - self._since[name]) / max(turns, 1) * 1000, 1) for name in now}

    def _read(self) -> dict[str, float]:
        return {
            name: seconds_of(process) + (0.0 if name == "bench" else sum(map(seconds_of, _children(process))))
            for name, process in self._processes.items()
        }


def seconds_of(process: psutil.Process) -> float:
    """Processor time so far; 0 for a process that has ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
