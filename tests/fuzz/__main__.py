"""A stranger's bytes: every parser of ours against seeded, mutated inputs.

    python -m tests.fuzz                                    # 20,000 inputs
    python -m tests.fuzz --inputs 1000000 --seed 7
    python -m tests.fuzz --only guard --inputs 50000

An input that raises, or takes longer than it may, is printed with the seed that makes it again, and the run ends
with 1.
"""

import argparse
import logging
import sys

import structlog
from rich.console import Console
from rich.table import Table

from tests.fuzz.run import Finding, Tally, run
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(TARGETS), action="append")
    arguments = parser.parse_args()
    logging.disable()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    tallies = run(inputs=arguments.inputs, seed=arguments.seed, only=arguments.only)
    _show(tallies)
    findings = [finding for tally in tallies for finding in tally.findings]
    for finding in findings:
        _tell(finding)
    return 1 if findings else 0


def _show(tallies: list[Tally]) -> None:
    table = Table("", "inputs", "findings", "slowest ms", title="A stranger's bytes")
    for tally in tallies:
        table.add_row(
            tally.target, f"{tally.inputs:,}", str(len(tally.findings)), f"{tally.slowest_seconds * 1000:.0f}"
        )
    table.add_row("all", f"{sum(tally.inputs for tally in tallies):,}", str(sum(len(t.findings) for t in tallies)), "")
    Console().print(table)


def _tell(finding: Finding) -> None:
    sys.stdout.write(f"{finding.target}, seed {finding.seed}: {finding.trouble}\n")


if __name__ == "__main__":
    sys.exit(main())
