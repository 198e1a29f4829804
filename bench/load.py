"""Endurance and scaling: a long run, a full database, many people, more workers.

    python -m bench.load                           # all four, two minutes of steady talk
    python -m bench.load steady --minutes 30 --plot docs/pictures
    python -m bench.load stored people workers --plot docs/pictures
    python -m bench.load stored --turns 1000 100000 1000000
    python -m bench.load people --people 10 10000 --rounds 15   # the ratios with an interval of 95 %
    python -m bench.load workers --workers 1 2 4 --json

PostgreSQL from the tests' wheel, a private Valkey, workers with the scripted engine as processes of their own, the
bot's side in this process. Every comparison is made within one run, so that a busy machine affects both sides alike.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import structlog
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from bench import plots, road, servers
from bench.archive import fill
from bench.intervals import median_interval
from bench.plots import Sample
from bot.services import BotServices
from care import screening
from dialogue.process.settings import DialogueSettings
from dialogue.storage import schema
from dialogue.storage.vault import new_secret

_MEBIBYTE = 2**20
_SAMPLE_SECONDS = 10.0
_STEADY_PEOPLE = 8
_WARM_SECONDS = 1.0
_WORKERS_DELAY_SECONDS = 0.5
_WORKERS_CONCURRENCY = 4
_WORKERS_PEOPLE = 40

_PARTS = ("steady", "stored", "people", "workers")

Line = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One installation: the bot's side in this process, everything else in others."""

    services: BotServices
    workers: list[psutil.Process]
    broker: psutil.Process
    database: psutil.Process


def main() -> int:
    arguments = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    compared_by = {"seconds": arguments.seconds, "rounds": arguments.rounds, "plot": arguments.plot}
    parts: dict[str, Callable[[], list[Line]]] = {
        "steady": partial(steady, minutes=arguments.minutes, plot=arguments.plot),
        "stored": partial(stored, arguments.turns, **compared_by),
        "people": partial(people, arguments.people, **compared_by),
        "workers": partial(workers, arguments.workers, seconds=arguments.seconds, plot=arguments.plot),
    }
    results = {name: parts[name]() for name in arguments.parts or parts}
    if arguments.json:
        sys.stdout.write(json.dumps(results) + "\n")
        return 0
    for name, lines in results.items():
        table = Table(*lines[0], title=name)
        for line in lines:
            table.add_row(*map(str, line.values()))
        Console().print(table)
    return 0


def steady(*, minutes: float, plot: Path | None) -> list[Line]:
    """Eight people talk all the time; the first and the last third of it, and their ratio."""
    samples: list[Sample] = []
    with installed(workers=1) as built:
        talk(built.services, people=_STEADY_PEOPLE, seconds=_WARM_SECONDS)
        began_at = time.monotonic()
        while (now := time.monotonic()) < began_at + minutes * 60:
            row = talk(built.services, people=_STEADY_PEOPLE, seconds=min(_SAMPLE_SECONDS, minutes * 10))
            samples.append(_sample((now - began_at) / 60, row, built))
    if plot is not None:
        plots.steady(samples, plot / "steady.png")
    third = max(1, len(samples) // 3)
    first, last = _middle(samples[:third]), _middle(samples[-third:])
    ratio = {name: round(last[name] / first[name], 2) for name in first}
    return [{"": "first third", **first}, {"": "last third", **last}, {"": "ratio", **ratio}]


def stored(counts: Sequence[int], *, seconds: float, rounds: int, plot: Path | None) -> list[Line]:
    """One person's turn beside so many stored ones; the first count is the baseline of the ratio."""
    with ExitStack() as stack:
        rooms = {count: stack.enter_context(installed(workers=1, turns=count)).services for count in counts}
        return _compared("stored turns", rooms, seconds=seconds, rounds=rounds, plot=plot)


def people(counts: Sequence[int], *, seconds: float, rounds: int, plot: Path | None) -> list[Line]:
    """A turn of somebody among so many who have all talked before and may talk again."""
    with ExitStack() as stack:
        rooms = {count: stack.enter_context(installed(workers=1)).services for count in counts}
        for count, services in rooms.items():
            asyncio.run(_meet(services, count))
        return _compared("people", rooms, seconds=seconds, rounds=rounds, plot=plot)


def _compared(
    what: str, rooms: Mapping[int, BotServices], *, seconds: float, rounds: int, plot: Path | None
) -> list[Line]:
    """One person talks in each database in turn, for several rounds: other load then meets all of them."""
    for services in rooms.values():
        talk(services, people=1, seconds=_WARM_SECONDS)
    measured = []
    for number in range(rounds):
        order = list(rooms.items())[:: -1 if number % 2 else 1]  # who comes first is not always the same
        measured.append({count: talk(each, people=1, seconds=seconds).p50_ms for count, each in order})
    if plot is not None:
        plots.growth(what, [{count: each[count] for count in rooms} for each in measured], plot / _picture(what))
    return compared(what, list(rooms), measured)


def compared(what: str, counts: Sequence[int], rounds: Sequence[Mapping[int, float]]) -> list[Line]:
    """One line for each count: the median of the rounds, of their ratios to the first count, and its 95 % interval."""
    lines: list[Line] = []
    for count in counts:
        ratios = sorted(each[count] / each[counts[0]] for each in rounds)
        low, high = median_interval(ratios)
        lines.append(
            {
                what: f"{count:,}",
                "p50_ms": round(statistics.median(each[count] for each in rounds), 1),
                "ratio": round(statistics.median(ratios), 2),
                "interval": f"{low:.2f} to {high:.2f}",
                "rounds": len(rounds),
            }
        )
    return lines


def _picture(what: str) -> str:
    return f"{what.replace(' ', '-')}.png"


def workers(counts: Sequence[int], *, seconds: float, plot: Path | None) -> list[Line]:
    """Turns a second with so many worker processes, each good for eight turns a second."""
    speeds = {}
    for count in counts:
        with installed(workers=count, concurrency=_WORKERS_CONCURRENCY, delay_seconds=_WORKERS_DELAY_SECONDS) as built:
            talk(built.services, people=_WORKERS_PEOPLE, seconds=_WARM_SECONDS)
            speeds[count] = talk(built.services, people=_WORKERS_PEOPLE, seconds=seconds).turns_per_second
    if plot is not None:
        plots.scaling(speeds, plot / "workers.png")
    return [
        {"workers": count, "turns_per_second": speed, "ratio": round(speed / speeds[counts[0]], 2)}
        for count, speed in speeds.items()
    ]


@contextmanager
def installed(*, workers: int, turns: int = 0, concurrency: int = 32, delay_seconds: float = 0) -> Iterator[Built]:
    """One installation of its own, `turns` stored in it, until the block ends."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mg-")))
        url, database = servers.postgres(stack, home)
        broker = servers.broker(stack, home)
        settings = DialogueSettings(
            home=home,
            database_url=SecretStr(url),
            broker_url=SecretStr(broker.url),
            secret_key=SecretStr(new_secret()),
            consent="off",
            messages_per_minute=0,
            messages_per_day=0,
        )
        schema.upgrade_at(url)
        screening.warm()
        services = BotServices.open(settings)
        stack.callback(services.close)
        if turns:
            fill(services.database, turns=turns)
        environment = {
            "MINDGLM_HOME": str(home),
            "MINDGLM_DATABASE_URL": url,
            "MINDGLM_BROKER_URL": broker.url,
            "MINDGLM_SECRET_KEY": settings.secret_key.get_secret_value() if settings.secret_key else "",
            "MINDGLM_ENGINE": "scripted",
            "MINDGLM_SCRIPTED_DELAY_SECONDS": str(delay_seconds),
            "MINDGLM_CONCURRENCY": str(concurrency),
        }
        started = [
            stack.enter_context(
                servers.command("worker", environment, home / f"worker-{number}.log", ready="worker_ready")
            )
            for number in range(workers)
        ]
        yield Built(services=services, workers=started, broker=psutil.Process(broker.process.pid), database=database)


def talk(services: BotServices, *, people: int, seconds: float) -> road.Row:
    """So many people talk for so long."""
    return asyncio.run(road.measure(services, database="postgresql", people=people, seconds=seconds))


async def _meet(services: BotServices, count: int) -> None:
    """Everybody sends one message, a few hundred at a time, and gets an answer."""
    answers = road.Answers()
    async with road.delivering(services, answers):
        for first in range(0, count, 200):
            await asyncio.gather(
                *(
                    road.talk_once(services, answers, f"early-{number}")
                    for number in range(first, min(first + 200, count))
                )
            )


def _sample(minute: float, row: road.Row, built: Built) -> Sample:
    return Sample(
        minute=round(minute, 2),
        turns_per_second=row.turns_per_second,
        p50_ms=row.p50_ms,
        p95_ms=row.p95_ms,
        bot_mib=_mib(psutil.Process()),
        worker_mib=_mib(built.workers[0]),
        broker_mib=_mib(built.broker),
    )


def _mib(process: psutil.Process) -> float:
    return round(process.memory_info().rss / _MEBIBYTE, 1)


def _middle(samples: Sequence[Sample]) -> dict[str, float]:
    names = [name for name in Sample.__slots__ if name != "minute"]
    return {name: round(statistics.median(getattr(sample, name) for sample in samples), 1) for name in names}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*_PARTS, []], help="one or more of them; all, if none is named")
    parser.add_argument("--minutes", type=float, default=2, help="of steady talk")
    parser.add_argument("--seconds", type=float, default=8, help="of each other measurement")
    parser.add_argument("--rounds", type=int, default=15, help="of each comparison; six or more give an interval")
    parser.add_argument("--turns", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--people", type=int, nargs="+", default=[10, 10_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--plot", type=Path, help="a directory for the pictures (needs matplotlib)")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
