"""The road through WeCom: from a person's words until they have the answer, and the memory of an adapter.

    python -m bench.wecom                    # SQLite and a private Valkey
    python -m bench.wecom --postgres --json

WeCom is the loopback server without its nastiness; adapter and worker are processes of their own, and the model answers
at once. So the time is the notice, its commit, the pull, the message, the turn and the sending. The person reads for a
moment before they write again: until then the adapter has marked what it sent. `notice_ms` is how long the callback
takes, `refusal_ms` what a wrong signature costs there; `..._cpu_ms` is the processor's time for a turn.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil

from bench.house import broker, command, postgres
from dialogue.storage import schema
from dialogue.storage.database import sqlite_url
from dialogue.storage.vault import new_secret
from tests.bot.wecom import wire
from tests.bot.wecom.loopback import Nastiness, WeCom
from tests.bot.wecom.rehearsal import free_address, wecom_environment
from tests.bot.wecom.wire import Sent

_MEBIBYTE = 2**20
_WARM_WORDS = 30
_PATIENCE_SECONDS = 30.0
_READING_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured; times in milliseconds."""

    database: str
    turns: int
    p50_ms: float
    p95_ms: float
    notice_ms: float
    refusal_ms: float
    adapter_cpu_ms: float
    worker_cpu_ms: float
    adapter_mib: float
    load: float


class Visitor:
    """One person who writes, waits for the answer, and writes again."""

    def __init__(self, wecom: WeCom) -> None:
        self._wecom = wecom
        self._answered = threading.Event()
        wecom.on_send = self._hear

    def talk(self, count: int) -> list[float]:
        """The milliseconds until each answer."""
        return [self._ask(f"第{number}句") for number in range(count)]

    def _ask(self, text: str) -> float:
        time.sleep(_READING_SECONDS)
        self._answered.clear()
        began_at = time.perf_counter()
        self._wecom.say("wmBENCH", text)
        if not self._answered.wait(_PATIENCE_SECONDS):
            raise TimeoutError(text)
        return (time.perf_counter() - began_at) * 1000

    def _hear(self, _person: str, _sent: Sent) -> None:
        self._answered.set()


def run(*, count: int, is_postgres: bool) -> Row:
    """Start everything, let one person talk, and stop."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mb-")))
        home.chmod(0o755)
        url = postgres(stack, home)[0] if is_postgres else sqlite_url(home / "bench.db")
        schema.upgrade_at(url)
        wecom = WeCom(nastiness=Nastiness.calm()).start()
        stack.callback(wecom.stop)
        listen = free_address()
        wecom.callback_url = f"http://{listen}/wecom"
        environment = {
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
            **wecom_environment(wecom),
            "MINDGLM_WECOM_PULL_SECONDS": "300",
            "MINDGLM_WECOM_LISTEN": listen,
        }
        adapter = stack.enter_context(command("wecom", environment, home / "wecom.log", ready="wecom_ready"))
        worker = stack.enter_context(command("worker", environment, home / "worker.log", ready="worker_ready"))
        visitor = Visitor(wecom)
        visitor.talk(_WARM_WORDS)
        busy_before = [_busy_ms(process) for process in (adapter, worker)]
        milliseconds = visitor.talk(count)
        busy = [_busy_ms(process) for process in (adapter, worker)]
        return Row(
            database="PostgreSQL" if is_postgres else "SQLite",
            turns=count,
            p50_ms=round(statistics.median(milliseconds), 1),
            p95_ms=round(statistics.quantiles(milliseconds, n=20)[-1], 1),
            notice_ms=_notice_ms(wecom.callback_url),
            refusal_ms=_refusal_ms(),
            adapter_cpu_ms=round((busy[0] - busy_before[0]) / count, 1),
            worker_cpu_ms=round((busy[1] - busy_before[1]) / count, 1),
            adapter_mib=round(_memory(adapter), 1),
            load=round(os.getloadavg()[0], 1),
        )


def _memory(process: psutil.Process) -> float:
    return process.memory_info().rss / _MEBIBYTE


def _busy_ms(process: psutil.Process) -> float:
    times = process.cpu_times()
    return (times.user + times.system) * 1000


def _notice_ms(url: str, count: int = 200) -> float:
    """From the request to its answer, with one connection."""
    encrypted = wire.encrypt(wire.notice("wkNOBODY", "ENC", at=1))
    milliseconds = []
    with httpx.Client() as client:
        for _ in range(count):
            began_at = time.perf_counter()
            client.post(f"{url}?{wire.query(encrypted)}", content=wire.envelope(encrypted)).raise_for_status()
            milliseconds.append((time.perf_counter() - began_at) * 1000)
    return round(statistics.median(milliseconds), 2)


def _refusal_ms(count: int = 2000) -> float:
    """Of a notice of the usual size, without the request around it."""
    cipher = wire.cipher()
    encrypted = wire.encrypt(wire.notice("wk1", "ENC", at=1)).encode()
    wrong = hashlib.sha1(b"wrong").hexdigest().encode()
    began_at = time.perf_counter()
    for _ in range(count):
        cipher.is_signed(wrong, timestamp=b"1796000000", nonce=b"1372623149", encrypted=encrypted)
    return round((time.perf_counter() - began_at) / count * 1000, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    row = asdict(run(count=arguments.count, is_postgres=arguments.postgres))
    if arguments.json:
        sys.stdout.write(json.dumps(row) + "\n")
    else:
        sys.stdout.writelines(f"{name:12} {value}\n" for name, value in row.items())


if __name__ == "__main__":
    main()
