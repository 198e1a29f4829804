"""A run's directory: its recipe, its log, and the newest state that it can be taken up from."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from training.trouble import TrainingTrouble

STATE = "state.pt"
PREVIOUS = "state-before.pt"
BEST = "state-best.pt"
"""A copy of it under the name of `STATE` is what a run goes on from."""

LOG = "log.jsonl"
RECIPE = "recipe.yaml"


def save(directory: Path, state: Mapping[str, Any], *, name: str = STATE) -> None:
    """Replace the state in one step, so that a run that is killed while it writes has the earlier one.

    The newest state before this one stays beside it.
    """
    partial = directory / f"{name}.partial"
    with partial.open("wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())
    if name == STATE and has_state(directory):
        (directory / STATE).replace(directory / PREVIOUS)
    partial.replace(directory / name)


def load(directory: Path) -> dict[str, Any]:
    """The newest state. Raises `TrainingTrouble` where there is none."""
    file = directory / STATE
    if not file.is_file():
        raise TrainingTrouble(f"{directory} holds no run to resume ({STATE} is not there).")
    return cast("dict[str, Any]", torch.load(file, map_location="cpu", weights_only=True))


def without_numbers(learned: Mapping[str, Any]) -> str | None:
    """The name of a weight that holds NaN or infinity, if one does."""
    weights = learned.get("masters", {})
    return next((name for name, numbers in weights.items() if not bool(torch.isfinite(numbers).all())), None)


def has_state(directory: Path) -> bool:
    """Whether a run can be taken up here."""
    return (directory / STATE).is_file()


def log(directory: Path, entry: Mapping[str, Any]) -> None:
    """Add a line to the run's log."""
    with (directory / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def read_log(directory: Path) -> list[dict[str, Any]]:
    """The run's log, oldest first; of steps that were taken twice around a restart, the later one."""
    file = directory / LOG
    if not file.is_file():
        return []
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return list({(entry["step"], "held_out" in entry): entry for entry in entries}.values())
