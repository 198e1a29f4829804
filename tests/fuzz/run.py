"""Runs the targets and counts; each input has a seed of its own, by which it can be made again."""

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import TARGETS, examples

MAX_SECONDS = 1.0
"""Processor time of one input; a text of some thousand characters that takes longer could hold up everybody."""

_MAX_FINDINGS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One input that a target did not bear."""

    target: str
    seed: int
    trouble: str


@dataclass(slots=True)
class Tally:
    """What came of one target's inputs."""

    target: str
    inputs: int = 0
    slowest_seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)


def run(*, inputs: int, seed: int, only: Sequence[str] | None = None) -> list[Tally]:
    """At least `inputs` inputs over all targets, by their shares; a target stops at its fifth finding."""
    names = list(only or TARGETS)
    shares = sum(TARGETS[name][1] for name in names)
    texts = examples()
    return [_run_one(name, -(-inputs * TARGETS[name][1] // shares), seed, texts) for name in names]


def _run_one(name: str, count: int, seed: int, texts: list[str]) -> Tally:
    target, _ = TARGETS[name]
    tally = Tally(name)
    for number in range(count):
        input_seed = seed * 1_000_000_007 + number
        mutator = Mutator(input_seed, texts)
        began = time.thread_time()
        try:
            target(mutator)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            tally.findings.append(Finding(name, input_seed, f"{error!r:.300} in {place.name}, line {place.lineno}"))
        took = time.thread_time() - began
        if took > MAX_SECONDS:
            tally.findings.append(Finding(name, input_seed, f"took {took:.1f} s"))
        tally.slowest_seconds = max(tally.slowest_seconds, took)
        tally.inputs += 1
        if len(tally.findings) >= _MAX_FINDINGS:
            break
    return tally
