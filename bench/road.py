"""The overhead of a turn without a model: database, task message, worker and courier.

    python -m bench.road                          # the embedded default: SQLite and a private Valkey
    python -m bench.road --postgres               # PostgreSQL from the tests' wheel
    python -m bench.road --database-url URL --broker-url URL
    python -m bench.road --stored 100000          # beside so many turns of the past
    python -m bench.road --desks 20 --rounds 5    # each line twice: without, and with so many open duty desks, by turns

Each person says something, waits for the answer, and goes on. The scripted engine answers at once, so the time from
`receive` to `send` is the overhead. Bot side in this process, one worker process beside it.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from uuid import uuid4

import psutil
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from bench import past, servers
from bench.desk import OpenDesk, sign_in, wait_until_all_saw
from bot.outgoing.courier import Courier
from bot.outgoing.listener import Listener
from bot.services import BotServices
from care import screening
from console.sessions import Lifetimes
from dialogue.messages import Address, InboundMessage, OwedText
from dialogue.process import event_loop
from dialogue.process.home import database_url
from dialogue.process.settings import DialogueSettings
from dialogue.storage import schema
from dialogue.storage.vault import new_secret

CHANNEL = "bench"
CONSOLE = "127.0.0.1:8099"
_LIFETIMES = Lifetimes(whole=timedelta(hours=12), idle=timedelta(hours=12), requires_second=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; times in milliseconds, processor time per turn (the bench is the bot's side)."""

    database: str
    people: int
    desks: int
    turns: int
    turns_per_second: float
    p50_ms: float
    p95_ms: float
    bench_cpu_ms: float
    worker_cpu_ms: float
    database_cpu_ms: float


class Answers:
    """A channel whose people wait for their answer."""

    name = CHANNEL

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def expect(self, who: str) -> asyncio.Future[None]:
        self._waiting[who] = asyncio.get_running_loop().create_future()
        return self._waiting[who]

    async def send(self, text: OwedText) -> str | None:
        self._waiting[text.address.chat_id].set_result(None)
        return None


async def measure(
    services: BotServices,
    *,
    database: str,
    people: int,
    seconds: float,
    desks: int = 0,
    processes: Mapping[str, psutil.Process] | None = None,
) -> Row:
    """Let `people` talk for `seconds`; the processor time of `processes` (worker, database) is counted."""
    answers = Answers()
    latencies: list[float] = []
    async with delivering(services, answers):
        spent = servers.ProcessorTime(**processes or {})
        started_at = time.perf_counter()
        await asyncio.gather(
            *(
                _talk(services, answers, f"{people}-{number}", started_at + seconds, latencies)
                for number in range(people)
            )
        )
        took_seconds = time.perf_counter() - started_at
    each = spent.per_turn_ms(len(latencies))
    return Row(
        database=database,
        people=people,
        desks=desks,
        turns=len(latencies),
        turns_per_second=round(len(latencies) / took_seconds, 1),
        p50_ms=round(statistics.median(latencies) * 1000, 1),
        p95_ms=round(statistics.quantiles([*latencies, latencies[-1]], n=20)[-1] * 1000, 1),
        bench_cpu_ms=each["bench"],
        worker_cpu_ms=each.get("worker", 0.0),
        database_cpu_ms=each.get("database", 0.0),
    )


@asynccontextmanager
async def delivering(services: BotServices, answers: Answers) -> AsyncIterator[None]:
    """A courier that is notified of new deliveries."""
    courier = Courier(database=services.database, keys=services.keys, sender=answers)
    listener = Listener(services.broker_url, CHANNEL, on_owed=courier.wake)
    tasks = [asyncio.create_task(courier.run()), asyncio.create_task(listener.run())]
    await asyncio.sleep(0.5)
    try:
        yield
    finally:
        courier.stop()
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def talk_once(services: BotServices, answers: Answers, who: str) -> float:
    """Say something and wait for the answer; returns the seconds between."""
    message = InboundMessage(
        address=Address(channel=CHANNEL, chat_id=who),
        account="bench",
        user_id=who,
        external_id=uuid4().hex,
        text="我最近总是睡不好",
        sent_at=datetime.now(UTC),
        is_private=True,
    )
    answered = answers.expect(who)
    began_at = time.perf_counter()
    await services.inbox.receive(message)
    await answered
    return time.perf_counter() - began_at


async def _talk(services: BotServices, answers: Answers, who: str, until: float, latencies: list[float]) -> None:
    while time.perf_counter() < until:
        latencies.append(await talk_once(services, answers, who))


@contextmanager
def _services(arguments: argparse.Namespace, home: Path) -> Iterator[tuple[BotServices, dict[str, psutil.Process]]]:
    with ExitStack() as stack:
        processes: dict[str, psutil.Process] = {}
        url = arguments.database_url
        if arguments.postgres:
            url, processes["database"] = servers.postgres(stack, home)
        broker_url = arguments.broker_url or servers.broker(stack, home).url
        secret = new_secret()
        settings = DialogueSettings(
            home=home,
            database_url=SecretStr(url) if url else None,
            broker_url=SecretStr(broker_url),
            secret_key=SecretStr(secret),
            consent="off",
            messages_per_minute=0,
            messages_per_day=0,
        )
        schema.upgrade_at(database_url(settings))
        environment = {
            "MINDGLM_HOME": str(home),
            "MINDGLM_BROKER_URL": broker_url,
            "MINDGLM_SECRET_KEY": secret,
            "MINDGLM_ENGINE": "scripted",
            "MINDGLM_CONCURRENCY": str(arguments.concurrency),
            **({"MINDGLM_DATABASE_URL": url} if url else {}),
        }
        processes["worker"] = stack.enter_context(
            servers.command("worker", environment, home / "worker.log", ready="worker_ready")
        )
        if arguments.desks:
            environment |= {"MINDGLM_CONSOLE_LISTEN": CONSOLE, "MINDGLM_CONSOLE_SECOND_FACTOR": "offered"}
            processes["console"] = stack.enter_context(
                servers.command("console", environment, home / "console.log", ready="console_ready")
            )
        screening.warm()
        services = BotServices.open(settings)
        stack.callback(services.close)
        yield services, processes


@contextmanager
def _open_desks(cookies: list[str]) -> Iterator[None]:
    """Duty desks that listen to the console, each in a thread of this process."""
    host, _, port = CONSOLE.rpartition(":")
    desks = [OpenDesk((host, int(port)), cookie) for cookie in cookies]
    threads = [threading.Thread(target=desk.listen, daemon=True) for desk in desks]
    for thread in threads:
        thread.start()
    wait_until_all_saw(desks, 0)
    try:
        yield
    finally:
        for desk in desks:
            desk.close()
        for thread in threads:
            thread.join(5)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, nargs="+", default=[1, 20, 80])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--concurrency", type=int, default=32, help="conversations at once in the worker")
    parser.add_argument("--desks", type=int, default=0, help="duty desks open in the console")
    parser.add_argument("--stored", type=int, default=0, help="turns that were answered before")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="start a PostgreSQL from the tests' wheel")
    parser.add_argument("--database-url")
    parser.add_argument("--broker-url")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with (
        tempfile.TemporaryDirectory(prefix="mg-") as directory,
        _services(arguments, Path(directory)) as (services, processes),
    ):
        name = services.database.engine.dialect.name
        past.store(services.database, channel=CHANNEL, turns=arguments.stored)
        event_loop.run(measure(services, database=name, people=4, seconds=1))  # warm
        cookies = sign_in(services.database, _LIFETIMES, arguments.desks)
        ways = (0, len(cookies)) if cookies else (0,)
        rows = []
        for people, number in product(arguments.people, range(arguments.rounds)):
            for count in ways[:: 1 if number % 2 == 0 else -1]:
                with _open_desks(cookies[:count]):
                    measured = measure(
                        services,
                        database=name,
                        people=people,
                        seconds=arguments.seconds,
                        desks=count,
                        processes=processes,
                    )
                    rows.append(event_loop.run(measured))
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    table = Table(*Row.__slots__, title="The road without a model")
    for row in rows:
        table.add_row(*map(str, asdict(row).values()))
    Console().print(table)
    for people in arguments.people if cookies else ():
        print(_compared([row for row in rows if row.people == people]))


def _compared(rows: list[Row]) -> str:
    """What the desks cost: round by round, with them over without them."""
    without, beside = ([row for row in rows if bool(row.desks) is is_open] for is_open in (False, True))
    p50 = sorted(b.p50_ms / a.p50_ms for a, b in zip(without, beside, strict=True))
    pace = sorted(a.turns_per_second / b.turns_per_second for a, b in zip(without, beside, strict=True))
    told = (f"{statistics.median(ratios):.3f} [{ratios[0]:.3f}, {ratios[-1]:.3f}]" for ratios in (p50, pace))
    return f"{rows[0].people} people, with desks / without, median [least, most]: p50 {', time a turn '.join(told)}"


if __name__ == "__main__":
    main()
