"""A run's log as curves: a PNG beside the result, and event files that TensorBoard reads."""

from pathlib import Path
from typing import Any

from training.core import checkpoint

PICTURE = "curves.png"
EVENTS = "tensorboard"


def draw(directory: Path) -> None:
    """Write both from the log; a run without a log has no curves."""
    entries = checkpoint.read_log(directory)
    if not entries:
        return
    _picture(entries, directory / PICTURE)
    _events(entries, directory / EVENTS)


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


def _events(entries: list[dict[str, Any]], directory: Path) -> None:
    from tensorboardX import SummaryWriter

    for old in directory.glob("events.*"):  # the log is the truth; the events are written anew from it
        old.unlink()
    with SummaryWriter(logdir=str(directory)) as events:
        for entry in entries:
            numbers = {"train/loss": entry.get("loss")}
            numbers |= {f"held_out/{name}": value for name, value in entry.get("held_out", {}).items()}
            for name, value in numbers.items():
                if value is not None:
                    events.add_scalar(name, value, entry["step"])
