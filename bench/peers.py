"""This bot beside a peer: the same people, Telegram server and model, in alternating rounds.

    python -m bench.peers --peer ../chatgpt-telegram-bot                        # its .venv has what it needs
    python -m bench.peers --peer DIRECTORY --peer-python PYTHON --program bot.py
    python -m bench.peers --peer DIRECTORY --people 1 20 80 --rounds 5 --seconds 10 --json
    python -m bench.peers --peer DIRECTORY --peer-setting STREAM=false --peer-setting ENABLE_TTS_GENERATION=false

The peer is a checkout that is named; it is not a part of this project. Its Python must have its dependencies, and it
must use python-telegram-bot (`bench.peer_launcher` points it to the loopback) and take its model's address from
OPENAI_BASE_URL. The default program and settings are those of n3d1117/chatgpt-telegram-bot; names and meanings of
settings are the peer's own. The settings of ours are those of `bench.telegram`: PostgreSQL, everything durable.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bench import telegram as ours
from bench.servers import ProcessorTime, ended, memory_of
from tests.bot.telegram.flood import Flood
from tests.bot.telegram.loopback import TOKEN, Telegram
from tests.bot.telegram.wire import Sent

_MEBIBYTE = 2**20
_READY_SECONDS = 60.0
_LOST_SECONDS = 30.0
"""A message without an answer for so long is lost."""
_SETTLE_SECONDS = 1.0
_LAUNCHER = Path(__file__).with_name("peer_launcher.py")
_SETTINGS = {
    "ALLOWED_TELEGRAM_USER_IDS": "*",
    "ADMIN_USER_IDS": "-",
    "STREAM": "false",
    "SHOW_USAGE": "false",
    "OPENAI_MODEL": "gpt-3.5-turbo",
    "BOT_LANGUAGE": "en",
}


class PeerMissing(Exception):
    """The peer cannot be measured; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A checkout and how it is run."""

    directory: Path
    python: Path
    program: str
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two: its Telegram server and all its processes, by name."""

    name: str
    telegram: Telegram
    processes: Mapping[str, psutil.Process]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Some seconds of talk with one side. Processor time a turn and memory are those of all its processes together.

    A page that several share is counted once: PostgreSQL's processes share their buffers.
    """

    turns: int
    turns_per_second: float
    p50_s: float
    p95_s: float
    cpu_ms: float
    mib: float
    lost: int
    doubled: int


def find_peer(directory: Path, python: Path | None, program: str, settings: Sequence[str]) -> Peer:
    """Raises `PeerMissing` if the checkout, its program, its Python or the libraries of that one are not there."""
    directory = directory.resolve()
    if not directory.is_dir():
        raise PeerMissing(f"{directory} is not there: --peer names a checkout of the peer.")
    if not (directory / program).is_file():
        raise PeerMissing(f"{directory} has no {program}: --program names what is run there.")
    chosen = (python or directory / ".venv" / "bin" / "python").absolute()
    if not chosen.is_file():
        raise PeerMissing(f"{chosen} is not there: --peer-python names a Python that has the peer's dependencies.")
    imports = subprocess.run(
        [str(chosen), "-c", "import telegram.ext, openai"], capture_output=True, text=True, check=False
    )
    if imports.returncode:
        told = imports.stderr.strip().splitlines()
        raise PeerMissing(f"{chosen} lacks the peer's dependencies: {told[-1] if told else imports.returncode}")
    pairs = [setting.partition("=") for setting in settings]
    if wrong := [name for name, equals, _ in pairs if not equals or not name]:
        raise PeerMissing(f"--peer-setting {wrong[0]} is not NAME=VALUE.")
    return Peer(
        directory=directory,
        python=chosen,
        program=program,
        settings=_SETTINGS | {name: value for name, _, value in pairs},
    )


@contextmanager
def model(seconds: float) -> Iterator[str]:
    """The model that both sides ask, in a process of its own; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.fake_model", "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True
    )
    with ended(process):
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError("The fake model did not start.")
        yield address


@contextmanager
def run_peer(peer: Peer, model_url: str, log: Path) -> Iterator[Side]:
    """The peer, from its first poll. Raises `PeerMissing` if it ends before, with the end of what it wrote."""
    telegram = Telegram(flood=Flood(group_per_minute=None)).start()
    with ExitStack() as stack:
        stack.callback(telegram.stop)
        output = stack.enter_context(log.open("wb"))
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
        process = subprocess.Popen(
            [str(peer.python), str(_LAUNCHER), telegram.api_url, peer.program],
            cwd=peer.directory,
            env={
                **kept,
                "TELEGRAM_BOT_TOKEN": TOKEN,
                "OPENAI_API_KEY": "none",
                "OPENAI_BASE_URL": model_url,
                **peer.settings,
            },
            stdout=output,
            stderr=output,
        )
        stack.enter_context(ended(process))
        deadline = time.monotonic() + _READY_SECONDS
        while not telegram.count("getUpdates"):
            if process.poll() is not None or time.monotonic() > deadline:
                told = log.read_text("utf-8", errors="replace")[-2000:]
                raise PeerMissing(f"{peer.directory.name} did not start to poll:\n{told}")
            time.sleep(0.1)
        yield Side(name=peer.directory.name, telegram=telegram, processes={"peer": psutil.Process(process.pid)})


@contextmanager
def run_ours(model_url: str, home: Path, *, is_sqlite: bool, concurrency: int) -> Iterator[Side]:
    """Adapter, worker, database and broker of this project."""
    options = argparse.Namespace(sqlite=is_sqlite, model_seconds=0, concurrency=concurrency, model_url=model_url)
    with ours.house(options, home) as house:
        processes = {"adapter": house.adapter, "worker": house.worker, **house.others}
        yield Side(name="ours", telegram=house.telegram, processes=processes)


def measure(side: Side, *, people: int, seconds: float) -> Round:
    """Let `people` talk for `seconds`, each waiting for the answer before they go on."""
    spent = ProcessorTime(**side.processes)
    began_at = time.perf_counter()
    latencies, lost, doubled = side.telegram.run(_talk(side.telegram, people, seconds), None)
    took_seconds = time.perf_counter() - began_at - _SETTLE_SECONDS
    each = spent.per_turn_ms(len(latencies))
    return Round(
        turns=len(latencies),
        turns_per_second=round(len(latencies) / took_seconds, 1),
        p50_s=round(statistics.median(latencies), 3) if latencies else 0.0,
        p95_s=round(statistics.quantiles([*latencies, latencies[-1]], n=20)[-1], 3) if latencies else 0.0,
        cpu_ms=round(sum(each[name] for name in side.processes), 1),
        mib=round(sum(map(memory_of, side.processes.values())) / _MEBIBYTE, 1),
        lost=lost,
        doubled=doubled,
    )


async def _talk(telegram: Telegram, people: int, seconds: float) -> tuple[list[float], int, int]:
    waiting: dict[int, asyncio.Future[None]] = {}
    answers: Counter[int] = Counter()
    said: Counter[int] = Counter()
    latencies: list[float] = []
    lost: Counter[int] = Counter()

    def answered(chat_id: int, _sent: Sent) -> None:
        answers[chat_id] += 1
        if chat_id in waiting and not waiting[chat_id].done():
            waiting[chat_id].set_result(None)

    async def talk(who: int, until: float) -> None:
        while time.perf_counter() < until:
            said[who] += 1
            waiting[who] = asyncio.get_running_loop().create_future()
            began_at = time.perf_counter()
            await telegram.push_here(message=ours.message(who, said[who]))
            try:
                await asyncio.wait_for(waiting[who], _LOST_SECONDS)
            except TimeoutError:
                lost[who] += 1
                continue
            latencies.append(time.perf_counter() - began_at)

    telegram.on_sent = answered
    until = time.perf_counter() + seconds
    await asyncio.gather(*(talk(10_000 * people + number, until) for number in range(people)))
    await asyncio.sleep(_SETTLE_SECONDS)  # what is sent twice comes late
    doubled = sum(max(0, answers[who] - (said[who] - lost[who])) for who in said)
    return latencies, sum(lost.values()), doubled


def compare(sides: Sequence[Side], people: Sequence[int], *, rounds: int, seconds: float) -> list[dict[str, object]]:
    """For each number of people one line a side: medians of alternating rounds, sums of what was lost or doubled."""
    lines = []
    for count in people:
        seen: dict[str, list[Round]] = {side.name: [] for side in sides}
        for number in range(rounds):
            for side in sides[:: -1 if number % 2 else 1]:
                seen[side.name].append(measure(side, people=count, seconds=seconds))
        lines += [{"side": name, "people": count, **_middle(measured)} for name, measured in seen.items()]
    return lines


def _middle(rounds: Sequence[Round]) -> dict[str, float]:
    seen = [asdict(each) for each in rounds]
    summed = {"turns", "lost", "doubled"}
    return {
        name: sum(each[name] for each in seen) if name in summed else statistics.median(each[name] for each in seen)
        for name in seen[0]
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, metavar="DIRECTORY", help="a checkout of the peer")
    parser.add_argument("--peer-python", type=Path, help="has the peer's dependencies; default: its .venv")
    parser.add_argument("--program", default="bot/main.py", help="what is run in the checkout")
    parser.add_argument("--peer-setting", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--people", type=int, nargs="+", default=[1, 20, 80])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--model-seconds", type=float, default=0.2)
    parser.add_argument("--concurrency", type=int, default=128, help="conversations at once in our worker")
    parser.add_argument("--sqlite", action="store_true", help="ours on the embedded database instead of PostgreSQL")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    try:
        peer = find_peer(arguments.peer, arguments.peer_python, arguments.program, arguments.peer_setting)
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mg-")))
            url = stack.enter_context(model(arguments.model_seconds))
            theirs = stack.enter_context(run_peer(peer, url, home / "peer.log"))
            us = stack.enter_context(run_ours(url, home, is_sqlite=arguments.sqlite, concurrency=arguments.concurrency))
            for side in (theirs, us):
                measure(side, people=4, seconds=1)  # warm
            lines = compare([theirs, us], arguments.people, rounds=arguments.rounds, seconds=arguments.seconds)
    except PeerMissing as error:
        sys.stderr.write(f"bench.peers: {error}\n")
        return 2
    if arguments.json:
        sys.stdout.write(json.dumps(lines) + "\n")
        return 0
    table = Table(*lines[0], title=f"{peer.directory.name} and ours, with a model of {arguments.model_seconds} s")
    for line in lines:
        table.add_row(*map(str, line.values()))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
