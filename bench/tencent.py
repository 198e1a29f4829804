"""What the benches of Tencent's two channels share: one person, adapter and worker before a platform on the loopback.

The person reads for a moment before they write again: until then the adapter has marked what it sent.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx
import psutil

from bench.servers import broker, command, postgres, seconds_of
from dialogue.storage import schema
from dialogue.storage.database import sqlite_url
from dialogue.storage.vault import new_secret
from tests.bot.wecom.rehearsal import free_address

_MEBIBYTE = 2**20
_WARM_WORDS = 30
_PATIENCE_SECONDS = 30.0
_READING_SECONDS = 0.05


class Platform(Protocol):
    """Calls our callback, and takes what we send."""

    callback_url: str
    on_send: Callable[[str, Any], None]

    def say(self, person: str, text: str) -> str: ...


P = TypeVar("P", bound=Platform)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Times in milliseconds; the processor's are those of one turn."""

    database: str
    turns: int
    p50_ms: float
    p95_ms: float
    adapter_cpu_ms: float
    worker_cpu_ms: float
    adapter_mib: float
    load: float


class Visitor:
    """One person who writes, waits for the answer, and writes again."""

    def __init__(self, platform: Platform, name: str) -> None:
        self._platform = platform
        self._name = name
        self._answered = threading.Event()
        platform.on_send = self._hear

    def talk(self, count: int) -> list[float]:
        """The milliseconds until each answer."""
        return [self._ask(f"第{number}句") for number in range(count)]

    def _ask(self, text: str) -> float:
        time.sleep(_READING_SECONDS)
        self._answered.clear()
        began_at = time.perf_counter()
        self._platform.say(self._name, text)
        if not self._answered.wait(_PATIENCE_SECONDS):
            raise TimeoutError(text)
        return (time.perf_counter() - began_at) * 1000

    def _hear(self, _person: str, _sent: object) -> None:
        self._answered.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A platform with adapter and worker."""

    visitor: Visitor
    database: str
    adapter: psutil.Process
    worker: psutil.Process

    def measure(self, count: int) -> Measured:
        """The time from a person's words until they have the answer; warm before that."""
        self.visitor.talk(_WARM_WORDS)
        before = [seconds_of(process) for process in (self.adapter, self.worker)]
        milliseconds = self.visitor.talk(count)
        adapter_ms, worker_ms = (
            (seconds_of(process) - since) * 1000 / count
            for process, since in zip((self.adapter, self.worker), before, strict=True)
        )
        return Measured(
            database=self.database,
            turns=count,
            p50_ms=round(statistics.median(milliseconds), 1),
            p95_ms=round(statistics.quantiles(milliseconds, n=20)[-1], 1),
            adapter_cpu_ms=round(adapter_ms, 1),
            worker_cpu_ms=round(worker_ms, 1),
            adapter_mib=round(self.adapter.memory_info().rss / _MEBIBYTE, 1),
            load=round(os.getloadavg()[0], 1),
        )


@contextmanager
def running(
    channel: str, platform: Platform, environment: Mapping[str, str], *, person: str, is_postgres: bool
) -> Iterator[Running]:
    """Start everything, and stop it. `environment`: what the channel needs besides."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mb-")))
        home.chmod(0o755)
        url = postgres(stack, home)[0] if is_postgres else sqlite_url(home / "bench.db")
        schema.upgrade_at(url)
        listen = free_address()
        platform.callback_url = f"http://{listen}/{channel}"
        everything = {
            "MINDGLM_HOME": str(home),
            "MINDGLM_DATABASE_URL": url,
            "MINDGLM_BROKER_URL": broker(stack, home).url,
            "MINDGLM_SECRET_KEY": new_secret(),
            "MINDGLM_CONSENT": "off",
            "MINDGLM_MESSAGES_PER_MINUTE": "0",
            "MINDGLM_MESSAGES_PER_DAY": "0",
            "MINDGLM_ENGINE": "scripted",
            "MINDGLM_SCRIPTED_DELAY_SECONDS": "0",
            "MINDGLM_LOG_FORMAT": "json",
            f"MINDGLM_{channel.upper()}_LISTEN": listen,
            **environment,
        }
        adapter, worker = (
            stack.enter_context(command(name, everything, home / f"{name}.log", ready=f"{name}_ready"))
            for name in (channel, "worker")
        )
        database = "PostgreSQL" if is_postgres else "SQLite"
        yield Running(visitor=Visitor(platform, person), database=database, adapter=adapter, worker=worker)


def request_ms(url: str, body: bytes, *, count: int = 200) -> float:
    """From a request at the callback to its answer, with one connection: the median."""
    milliseconds = []
    with httpx.Client() as client:
        for _ in range(count):
            began_at = time.perf_counter()
            client.post(url, content=body).raise_for_status()
            milliseconds.append((time.perf_counter() - began_at) * 1000)
    return round(statistics.median(milliseconds), 2)


def each_ms(act: Callable[[], object], *, count: int = 2000) -> float:
    """What a call takes."""
    began_at = time.perf_counter()
    for _ in range(count):
        act()
    return round((time.perf_counter() - began_at) / count * 1000, 4)


def main(description: str, run: Callable[..., Any]) -> None:
    """`run` takes `count` and `is_postgres`, and returns a row."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    row = run(count=arguments.count, is_postgres=arguments.postgres)
    if arguments.json:
        sys.stdout.write(json.dumps(row) + "\n")
    else:
        sys.stdout.writelines(f"{name:14} {value}\n" for name, value in row.items())
