"""Hosts, GPUs, connections and disk for so many people a day, from the cost of a turn that this command measures.

    python -m bench.capacity                                  # measures for 20 s, plans 10^3 to 10^6 people a day
    python -m bench.capacity --costs costs.json               # from a run kept with --json
    python -m bench.capacity --people 50000 --messages 20 --tokens-per-second 2400 --sequence-mib 48
    python -m bench.capacity --check                          # the model beside real runs of two sizes

The day is simulated second by second: hours of unequal weight, a burst in the busiest hour, crises that pass no model.
docs/capacity.md says what the columns mean and what moves each bottleneck.
"""

import argparse
import json
import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from bench import costs, load, road
from bench.capacity_plan import HOURS, Demand, Hardware, Plan, plan
from bench.queueing import closed_loop

_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_CHECK_DELAY_SECONDS = 0.2
_CHECK_AT_ONCE = 16
_CHECK_SEED = 1
_VISITS = 4
"""Intake, claim, completion and delivery."""
_TOLERANCE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One figure at one size: what the model says, what a run gave (median of the rounds), and their ratio."""

    people: int
    figure: str
    predicted: float
    measured: float
    ratio: float

    @property
    def holds(self) -> bool:
        return abs(self.ratio - 1) <= _TOLERANCE


def predict(
    people: int, *, alone_s: float, saturated_per_second: float, seconds: float = 60.0
) -> tuple[float, float, float]:
    """Turns a second, p50 and p95 (seconds) of a closed loop, from one person's turn and the most that was reached.

    What one person waits beyond the model and the work itself is a part of the delay: hops that nobody computes in.
    """
    visit = 1 / saturated_per_second / _VISITS
    hops = max(0.0, alone_s - _CHECK_DELAY_SECONDS - _VISITS * visit)
    speed, took = closed_loop(
        people=people,
        visits=[visit] * _VISITS,
        delay_seconds=_CHECK_DELAY_SECONDS + hops,
        at_once=_CHECK_AT_ONCE,
        seconds=seconds,
        source=random.Random(_CHECK_SEED),
    )
    settled = took[len(took) // 10 :] or took
    cuts = statistics.quantiles([*settled, settled[-1]], n=20)
    return speed, cuts[9], cuts[18]


def check(sizes: Sequence[int], *, seconds: float, rounds: int) -> list[Checked]:
    """In one installation by turns: one person and a full house, which set the model, and the sizes to predict."""
    full = _CHECK_AT_ONCE * 4
    seen: dict[int, list[road.Row]] = {count: [] for count in (1, *sizes, full)}
    with load.installed(workers=1, concurrency=_CHECK_AT_ONCE, delay_seconds=_CHECK_DELAY_SECONDS) as built:
        load.talk(built.services, people=full, seconds=1)
        for number in range(rounds):
            for count in list(seen)[:: -1 if number % 2 else 1]:
                seen[count].append(load.talk(built.services, people=count, seconds=seconds))
    alone = statistics.median(row.p50_ms for row in seen[1]) / 1000
    saturated = statistics.median(row.turns_per_second for row in seen[full])
    found = []
    for count in sizes:
        predicted = predict(count, alone_s=alone, saturated_per_second=saturated)
        rows = seen[count]
        measured = (
            statistics.median(row.turns_per_second for row in rows),
            statistics.median(row.p50_ms for row in rows) / 1000,
            statistics.median(row.p95_ms for row in rows) / 1000,
        )
        for figure, guess, real in zip(("turns/s", "p50 s", "p95 s"), predicted, measured, strict=True):
            found.append(
                Checked(
                    people=count,
                    figure=figure,
                    predicted=round(guess, 3),
                    measured=round(real, 3),
                    ratio=round(guess / real, 2),
                )
            )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if arguments.check:
        return _report_check(check(arguments.sizes, seconds=arguments.seconds, rounds=arguments.rounds), arguments)
    try:
        hardware = Hardware(**{name: getattr(arguments, name) for name in Hardware.__slots__})
        hardware.turn_seconds()
        hours = json.loads(arguments.hours.read_text("utf-8")) if arguments.hours else HOURS
        demands = [
            Demand(
                people=people,
                messages=arguments.messages,
                burst=arguments.burst,
                crisis_share=arguments.crisis_share,
                hours=hours,
            )
            for people in arguments.people
        ]
        measured = costs.read(arguments.costs) if arguments.costs else None
    except (ValueError, OSError) as error:
        sys.stderr.write(f"bench.capacity: {error}\n")
        return 2
    if measured is None:
        measured = costs.measure(people=arguments.load_people, seconds=arguments.seconds)
    plans = [plan(demand, measured, hardware) for demand in demands]
    if arguments.json:
        report = {"costs": asdict(measured), "hardware": asdict(hardware), "plans": [asdict(each) for each in plans]}
        sys.stdout.write(json.dumps(report) + "\n")
        return 0
    _print(measured, plans)
    return 0


def _print(measured: costs.Costs, plans: Sequence[Plan]) -> None:
    console = Console()
    cost = Table("cost of a turn", "")
    for name, value in asdict(measured).items():
        cost.add_row(name, f"{value}")
    console.print(cost)
    names = [name for name in Plan.__slots__ if name not in {"people", "needs"}]
    table = Table("people a day", *(f"{each.people:,}" for each in plans))
    for number, need in enumerate(plans[0].needs):
        table.add_row(
            f"{need.part}: count (busy)",
            *(f"{each.needs[number].count} ({each.needs[number].busy:.0%})" for each in plans),
        )
        table.add_row(f"{need.part}: wait mean, p99 s", *(_waits(each, number) for each in plans))
    for name in names:
        table.add_row(
            name,
            *(f"{getattr(each, name):,}" if _is_number(each, name) else f"{getattr(each, name)}" for each in plans),
        )
    table.add_row("people one can carry", *(_ones(each) for each in plans[-1:]), *[""] * (len(plans) - 1))
    console.print(table)


def _waits(each: Plan, number: int) -> str:
    need = each.needs[number]
    return f"{need.wait_mean_s:g}, {need.wait_p99_s:g}"


def _ones(each: Plan) -> str:
    return "\n".join(f"{need.part} {need.people_of_one:,}" for need in each.needs)


def _is_number(each: Plan, name: str) -> bool:
    value = getattr(each, name)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _report_check(found: Sequence[Checked], arguments: argparse.Namespace) -> int:
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(each) | {"holds": each.holds} for each in found]) + "\n")
    else:
        table = Table("people", "figure", "predicted", "measured", "ratio", f"within {_TOLERANCE:.0%}")
        for each in found:
            table.add_row(*map(str, (*asdict(each).values(), "yes" if each.holds else "no")))
        Console().print(table)
    return 0 if all(each.holds for each in found) else 1


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, nargs="+", default=list(_SIZES), help="a day")
    parser.add_argument(
        "--messages", type=float, default=Demand.__dataclass_fields__["messages"].default, help="a person"
    )
    parser.add_argument("--burst", type=float, default=3.0, help="times as many in ten minutes of the busiest hour")
    parser.add_argument("--crisis-share", type=float, default=0.01, help="of messages that the adapter answers itself")
    parser.add_argument("--hours", type=Path, help="JSON with 24 weights")
    for name, field in Hardware.__dataclass_fields__.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(field.default), default=field.default)
    parser.add_argument("--costs", type=Path, help="what --json wrote; measured if it is not named")
    parser.add_argument("--load-people", type=int, default=20, help="who talk while costs are measured")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--check", action="store_true", help="compare the model with real runs; status 1 if it is off")
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 12], help="people of the check")
    parser.add_argument("--rounds", type=int, default=3, help="of the check, in turns")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
