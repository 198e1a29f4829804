"""How long the commands take to start: help, the first prompt of a chat, an adapter's and the supervisor's imports.

    python -m bench.start                              # this tree
    python -m bench.start --base ../other-checkout     # beside another one, alternating
    python -m bench.start --only help prompt --rounds 15 --json
    python -m bench.start --only reply                 # the first reply of the bundled model, from nothing

Every start is a process of its own, the trees take turns, and wall and processor time are given as the fastest and the
middle of the rounds: on a busy machine the processor time and the fastest one are to be believed.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parents[1]
_LIMIT_SECONDS = 120
_REPLY = re.compile(r"([\d.]+) s +first reply")
_PROMPT = re.compile(r"([\d.]+) s +first prompt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start: seconds until it was there, and processor time of the process and what it waited for."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    tree: str
    what: str
    rounds: int
    wall_fastest_s: float
    wall_middle_s: float
    cpu_fastest_s: float
    cpu_middle_s: float


class NotStarted(RuntimeError):
    """A command did not do what it is measured for; the message is what it wrote."""


def start_help(tree: Path, home: Path) -> Start:
    """`mindglm --help`, from start to end."""
    return _timed(tree, home, "-m", "mindglm", "--help")


def start_prompt(tree: Path, home: Path) -> Start:
    """`mindglm chat` without a worker, to its first prompt; its processor time is that of the whole process."""
    return _to_line(tree, home, _PROMPT, "chat", "--timings", "--no-worker")


def start_up(tree: Path, home: Path) -> Start:
    """`mindglm up` until it says that no channel is configured: all imports, and no child."""
    return _timed(tree, home, "-m", "mindglm", "up", allowed=(0, 2))


def start_adapter(tree: Path, home: Path) -> Start:
    """What every chat platform's adapter imports before it opens anything."""
    program = (
        "from mindglm.lean import UNUSED_BY_ADAPTERS, without\n"
        "with without(*UNUSED_BY_ADAPTERS):\n"
        "    from bot.channels import registry\n"
        "    from mindglm import adapters\n"
        "    adapters.load(registry.named('telegram'))\n"
    )
    return _timed(tree, home, "-c", program)


def start_reply(tree: Path, home: Path) -> Start:
    """`mindglm chat` from its start to the end of the bundled model's first reply, and until it has ended."""
    return _to_line(tree, home, _REPLY, "chat", "--timings", said="你好\n")


STARTS: Mapping[str, Callable[[Path, Path], Start]] = {
    "help": start_help,
    "prompt": start_prompt,
    "up": start_up,
    "adapter": start_adapter,
    "reply": start_reply,
}


def compare(trees: Sequence[Path], names: Sequence[str], *, rounds: int) -> list[Row]:
    """Each start `rounds` times in each tree, which take turns, after a round that warms caches."""
    for tree in trees:
        if not (tree / "mindglm" / "__main__.py").is_file():
            raise NotStarted(f"{tree} is no checkout of this project")
    rows = []
    with tempfile.TemporaryDirectory(prefix="mg-") as directory:
        homes = [Path(directory) / str(number) for number, _ in enumerate(trees)]
        for name in names:
            seen: list[list[Start]] = [[] for _ in trees]
            for _ in range(rounds + 1):
                for starts, tree, home in zip(seen, trees, homes, strict=True):
                    starts.append(STARTS[name](tree, home))
            rows += [_row(tree, name, starts[1:]) for tree, starts in zip(trees, seen, strict=True)]
    return rows


def _row(tree: Path, what: str, starts: Sequence[Start]) -> Row:
    walls, cpus = [start.wall_s for start in starts], [start.cpu_s for start in starts]
    return Row(
        tree=tree.name,
        what=what,
        rounds=len(starts),
        wall_fastest_s=round(min(walls), 3),
        wall_middle_s=round(statistics.median(walls), 3),
        cpu_fastest_s=round(min(cpus), 3),
        cpu_middle_s=round(statistics.median(cpus), 3),
    )


def _timed(tree: Path, home: Path, *argv: str, allowed: Sequence[int] = (0,)) -> Start:
    began_at, spent = time.perf_counter(), _spent()
    done = subprocess.run(
        [sys.executable, *argv],
        cwd=home_of(home),
        env=environment(tree, home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )
    if done.returncode not in allowed:
        raise NotStarted(done.stderr)
    return Start(wall_s=time.perf_counter() - began_at, cpu_s=_spent() - spent)


def _to_line(tree: Path, home: Path, line: re.Pattern[str], *arguments: str, said: str = "") -> Start:
    spent = _spent()
    process = subprocess.Popen(
        [sys.executable, "-m", "mindglm", *arguments],
        cwd=home_of(home),
        env=environment(tree, home),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            _, told = process.communicate(said, timeout=_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise
    found = line.search(told)
    if found is None:
        raise NotStarted(told)
    return Start(wall_s=float(found[1]), cpu_s=_spent() - spent)


def home_of(directory: Path) -> Path:
    """The home of a tree's starts, made if it is not there; also where they start, so that no `.env` is read."""
    with suppress(FileExistsError):
        directory.mkdir(parents=True)
    return directory


def environment(tree: Path, home: Path) -> dict[str, str]:
    """Of a start: that tree's code, a home of its own, and no settings of ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MINDGLM_")}
    return clean | {"PYTHONPATH": str(tree), "MINDGLM_HOME": str(home)}


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(STARTS), default=[*STARTS], metavar="START")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--base", type=Path, help="another checkout, with the same dependencies")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    trees = [*([arguments.base.resolve()] if arguments.base else []), HERE]
    rows = compare(trees, arguments.only, rounds=arguments.rounds)
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows]) + "\n")
        return 0
    table = Table(*Row.__slots__, title="Starts")
    for row in rows:
        table.add_row(*map(str, asdict(row).values()))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
