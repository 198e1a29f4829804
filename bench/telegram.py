"""The whole path through Telegram: turns per second and latency, with a model that takes 0.2 s and never queues.

    python -m bench.telegram                    # PostgreSQL from the tests' wheel, a private Valkey
    python -m bench.telegram --sqlite --json

People write to a Bot API server on the loopback, wait for the answer, and write again. Adapter, worker, database and
broker are processes of their own; the processor time of each is counted per turn, so that a busy machine can be told
from a slow program.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bench import fake_model
from bench.servers import ProcessorTime, broker, command, postgres
from dialogue.storage import schema
from dialogue.storage.database import sqlite_url
from dialogue.storage.vault import new_secret
from tests.bot.telegram.flood import Flood
from tests.bot.telegram.loopback import TOKEN, Telegram
from tests.bot.telegram.wire import Sent

_MEBIBYTE = 2**20
_WARM_PEOPLE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; `cpu_ms` is processor time per turn."""

    database: str
    people: int
    turns: int
    turns_per_second: float
    p50_s: float
    p95_s: float
    adapter_cpu_ms: float
    worker_cpu_ms: float
    database_cpu_ms: float
    bench_cpu_ms: float
    adapter_mib: float
    worker_mib: float
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What is being measured."""

    telegram: Telegram
    database: str
    adapter: psutil.Process
    worker: psutil.Process
    others: dict[str, psutil.Process]


def measure(house: House, *, people: int, seconds: float) -> Row:
    """Let `people` talk for `seconds`."""
    spent = ProcessorTime(adapter=house.adapter, worker=house.worker, **house.others)
    began_at = time.perf_counter()
    latencies = house.telegram.run(_talk(house.telegram, people, seconds), None)
    took_seconds = time.perf_counter() - began_at
    each = spent.per_turn_ms(len(latencies))
    return Row(
        database=house.database,
        people=people,
        turns=len(latencies),
        turns_per_second=round(len(latencies) / took_seconds, 1),
        p50_s=round(statistics.median(latencies), 3),
        p95_s=round(statistics.quantiles(latencies, n=20)[-1], 3),
        adapter_cpu_ms=each["adapter"],
        worker_cpu_ms=each["worker"],
        database_cpu_ms=round(each["broker"] + each.get("database", 0), 1),
        bench_cpu_ms=each["bench"],
        adapter_mib=round(house.adapter.memory_info().rss / _MEBIBYTE, 1),
        worker_mib=round(house.worker.memory_info().rss / _MEBIBYTE, 1),
        load=round(os.getloadavg()[0], 1),
    )


async def _talk(telegram: Telegram, people: int, seconds: float) -> list[float]:
    waiting: dict[int, asyncio.Future[None]] = {}
    latencies: list[float] = []

    def answered(chat_id: int, _sent: Sent) -> None:
        if not waiting[chat_id].done():
            waiting[chat_id].set_result(None)

    async def talk(who: int, until: float) -> None:
        number = 0
        while time.perf_counter() < until:
            number += 1
            waiting[who] = asyncio.get_running_loop().create_future()
            began_at = time.perf_counter()
            await telegram.push_here(message=message(who, number))
            await waiting[who]
            latencies.append(time.perf_counter() - began_at)

    telegram.on_sent = answered
    until = time.perf_counter() + seconds
    await asyncio.gather(*(talk(10_000 * people + number, until) for number in range(people)))
    return latencies


def message(who: int, number: int) -> dict[str, object]:
    """What one person's update carries."""
    return {
        "message_id": time.time_ns() % 2**31,
        "from": {"id": who, "is_bot": False, "first_name": "人"},
        "chat": {"id": who, "type": "private", "first_name": "人"},
        "date": int(time.time()),
        "text": f"我最近总是睡不好，这是第{number}次",
    }


def _engine(model_url: str | None) -> dict[str, str]:
    if model_url is None:
        return {"MINDGLM_ENGINE": "scripted"}
    return {"MINDGLM_ENGINE": "openai", "MINDGLM_OPENAI_BASE_URL": model_url, "MINDGLM_OPENAI_MODEL": fake_model.MODEL}


@contextmanager
def house(arguments: argparse.Namespace, home: Path) -> Iterator[House]:
    """Adapter, worker, database and broker with a Telegram server; `arguments` as of this command."""
    with ExitStack() as stack:
        valkey = broker(stack, home)
        others = {"broker": psutil.Process(valkey.process.pid)}
        url = sqlite_url(home / "mindglm.db")
        if not arguments.sqlite:
            url, others["database"] = postgres(stack, home)
        schema.upgrade_at(url)
        telegram = Telegram(flood=Flood(group_per_minute=None)).start()
        stack.callback(telegram.stop)
        environment = {
            "MINDGLM_HOME": str(home),
            "MINDGLM_DATABASE_URL": url,
            "MINDGLM_BROKER_URL": valkey.url,
            "MINDGLM_SECRET_KEY": new_secret(),
            **_engine(arguments.model_url),
            "MINDGLM_CONSENT": "off",
            "MINDGLM_MESSAGES_PER_MINUTE": "0",
            "MINDGLM_MESSAGES_PER_DAY": "0",
            "MINDGLM_SCRIPTED_DELAY_SECONDS": str(arguments.model_seconds),
            "MINDGLM_CONCURRENCY": str(arguments.concurrency),
            "MINDGLM_TELEGRAM_TOKEN": TOKEN,
            "MINDGLM_TELEGRAM_API_URL": telegram.api_url,
            "MINDGLM_TELEGRAM_MESSAGES_PER_SECOND": "100000",
            "MINDGLM_TELEGRAM_CHAT_MESSAGES_PER_SECOND": "100000",
        }
        adapter = stack.enter_context(command("telegram", environment, home / "adapter.log", ready="telegram_ready"))
        worker = stack.enter_context(command("worker", environment, home / "worker.log", ready="worker_ready"))
        yield House(
            telegram=telegram,
            database="sqlite" if arguments.sqlite else "postgresql",
            adapter=adapter,
            worker=worker,
            others=others,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, nargs="+", default=[1, 20, 80])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--model-seconds", type=float, default=0.2)
    parser.add_argument("--concurrency", type=int, default=128, help="conversations at once in the worker")
    parser.add_argument("--sqlite", action="store_true", help="the embedded database instead of PostgreSQL")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model-url", help="an OpenAI-compatible server instead of the scripted engine")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mg-") as directory, house(arguments, Path(directory)) as measured:
        measure(measured, people=_WARM_PEOPLE, seconds=1)
        rows = [measure(measured, people=people, seconds=arguments.seconds) for people in arguments.people]
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    table = Table(*Row.__slots__, title=f"Telegram with a model of {arguments.model_seconds} s")
    for row in rows:
        table.add_row(*map(str, asdict(row).values()))
    Console().print(table)


if __name__ == "__main__":
    main()
