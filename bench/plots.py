"""Plots the results of `bench.load`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BOUND = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Some seconds of steady talk."""

    minute: float
    turns_per_second: float
    p50_ms: float
    p95_ms: float
    bot_mib: float
    worker_mib: float
    broker_mib: float


def steady(samples: Sequence[Sample], file: Path) -> None:
    """Times and memory over the minutes."""
    minutes = [sample.minute for sample in samples]
    with _figure(file, rows=2) as (times, memory):
        times.plot(minutes, [sample.p50_ms for sample in samples], label="p50")
        times.plot(minutes, [sample.p95_ms for sample in samples], label="p95")
        times.set_ylabel("ms a turn")
        for name in ("bot_mib", "worker_mib", "broker_mib"):
            memory.plot(minutes, [getattr(sample, name) for sample in samples], label=name.removesuffix("_mib"))
        memory.set_ylabel("MiB")
        memory.set_xlabel("minutes")


def growth(what: str, rounds: Sequence[Mapping[int, float]], file: Path) -> None:
    """A turn's time beside so many of something, every round a dot, relative to the round's first."""
    first = next(iter(rounds[0]))
    with _figure(file) as (axes,):
        for each in rounds:
            axes.plot(list(each), [time / each[first] for time in each.values()], "o", color="tab:blue", alpha=0.6)
        axes.axhline(_BOUND, linestyle="--", color="tab:red", label=f"bound, {_BOUND}")
        axes.set_xscale("log")
        axes.set_xlabel(what)
        axes.set_ylabel(f"p50 of a turn, relative to {first:,}")


def scaling(speeds: Mapping[int, float], file: Path) -> None:
    """Turns a second with so many workers, and what as many times the first would be."""
    counts = list(speeds)
    each = speeds[counts[0]] / counts[0]
    with _figure(file) as (axes,):
        axes.plot(counts, [each * count for count in counts], "--", color="tab:grey", label="in proportion")
        axes.plot(counts, list(speeds.values()), "o-", label="seen")
        axes.set_xticks(counts)
        axes.set_xlabel("worker processes")
        axes.set_ylabel("turns a second")


@contextmanager
def _figure(file: Path, *, rows: int = 1) -> Iterator[Sequence[Any]]:
    import matplotlib as mpl  # an extra of training, needed only for plots

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, found = plt.subplots(rows, 1, sharex=True, figsize=(8, 3 * rows), squeeze=False)
    drawn = [axes for (axes,) in found]
    yield drawn
    for axes in drawn:
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(file, dpi=100)
    plt.close(figure)
