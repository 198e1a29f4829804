"""The bad day, rehearsed: real processes, forty people, a seeded schedule of everything that can break.

    python -m tests.chaos                               # one seed, one minute
    python -m tests.chaos --seeds 1 2 3 4 5 --seconds 300
    python -m tests.chaos --seeds 7 --seconds 600 --hold-seconds 30 --lease-seconds 20 --json

The first nine lines of the table must be zero. `marked_unknown` counts texts that may or may not have left when an
adapter was killed: they are not sent again, and an admin sees them.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.run import Outcome, Plan, run


def main() -> int:
    """0 when every run was good."""
    arguments = _arguments()
    outcomes = [
        run(
            Plan(
                seed=seed,
                seconds=arguments.seconds,
                hold_seconds=arguments.hold_seconds,
                lease_seconds=arguments.lease_seconds,
                gap_seconds=arguments.gap_seconds,
            ),
            logs=arguments.logs,
        )
        for seed in arguments.seeds
    ]
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(outcome) for outcome in outcomes], ensure_ascii=False) + "\n")
    else:
        _show(outcomes)
    return 0 if all(outcome.verdict.is_good for outcome in outcomes) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--seconds", type=float, default=60, help="how long things go wrong")
    parser.add_argument("--hold-seconds", type=float, default=6, help="about how long a fault holds")
    parser.add_argument("--lease-seconds", type=float, default=6)
    parser.add_argument("--gap-seconds", type=float, default=5, help="about how long a person waits before they write")
    parser.add_argument("--logs", type=Path, help="a directory in which the processes' logs are kept")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _show(outcomes: list[Outcome]) -> None:
    table = Table(title="The bad day")
    table.add_column("")
    for outcome in outcomes:
        table.add_column(f"seed {outcome.plan.seed}", justify="right")
    for name in outcomes[0].verdict.numbers():
        table.add_row(name, *(str(outcome.verdict.numbers()[name]) for outcome in outcomes))
    table.add_row("faults", *(str(len(outcome.faults)) for outcome in outcomes))
    table.add_row("deaths of processes", *(str(outcome.deaths) for outcome in outcomes))
    table.add_row("load", *(str(outcome.load) for outcome in outcomes))
    console = Console()
    console.print(table)
    for outcome in outcomes:
        for example in outcome.verdict.examples:
            console.print(f"seed {outcome.plan.seed}: {example}")
        for line in outcome.slow_calls:
            console.print(f"seed {outcome.plan.seed}: {line}", markup=False)
        for words in outcome.last_words:
            console.print(f"seed {outcome.plan.seed}: died by itself: {words}", markup=False)
        if outcome.impossible:
            console.print(f"not possible on this machine: {', '.join(outcome.impossible)}")
            break


if __name__ == "__main__":
    sys.exit(main())
