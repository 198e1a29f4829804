"""A run's log as curves: a PNG beside the result."""

from pathlib import Path
from typing import Any

from training.core import checkpoint

PICTURE = "curves.png"


def draw(directory: Path) -> None:
    """Draw the log; a run without one has no curves."""
    if entries := checkpoint.read_log(directory):
        _picture(entries, directory / PICTURE)


def _picture(entries: list[dict[str, Any]], file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    trained = [entry for entry in entries if "loss" in entry]
    left.plot([entry["tokens"] / 1e6 for entry in trained], [entry["loss"] for entry in trained], linewidth=1)
    left.set(xlabel="million tokens", ylabel="loss", title="training")
    measured = [entry for entry in entries if "held_out" in entry]
    for name in sorted({name for entry in measured for name in entry["held_out"]}):
        seen = [entry for entry in measured if name in entry["held_out"]]
        right.plot(
            [entry["tokens"] / 1e6 for entry in seen], [entry["held_out"][name] for entry in seen], "o-", label=name
        )
    right.set(xlabel="million tokens", title="held out")
    if measured:
        right.legend()
    figure.savefig(file, dpi=110)
