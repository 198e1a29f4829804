"""Small open chat models for those who have the internet, and how they did in our evaluation once somebody ran it."""

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from mindglm.language import say

_GIB = 2**30
_BYTES_PER_WEIGHT = 2
_NOT_OF_THE_NAME = re.compile(r".*[:/]|@.*")
"""A server's prefix and the digest of the weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """A model under a short name. `download_gb` in 10^9 bytes."""

    name: str
    hub_id: str
    licence: str
    parameters_billions: float
    download_gb: float

    @property
    def memory_gib(self) -> float:
        """Its weights at 16 bits."""
        return self.parameters_billions * 1e9 * _BYTES_PER_WEIGHT / _GIB


def load() -> tuple[Recommended, ...]:
    """From the smallest to the largest."""
    entries = tomllib.loads((files("mindglm") / "recommended.toml").read_text("utf-8"))["model"]
    return tuple(Recommended(**entry) for entry in entries)


def hub_id_of(name: str) -> str:
    """The hub id of a short name; every other name as it is."""
    return next((one.hub_id for one in load() if one.name == name.lower()), name)


def rows(scored: Sequence[Path]) -> list[tuple[object, ...]]:
    """For a table; `scored` are directories of `mindglm train simulate`."""
    scores = dict(_score(directory) for directory in scored)
    return [
        (
            one.name,
            one.hub_id,
            one.licence,
            f"{one.parameters_billions:g} B",
            f"{one.download_gb:g} GB",
            f"{one.memory_gib:.1f} GiB",
            scores.get(one.hub_id.rpartition("/")[2], say("not yet run")),
        )
        for one in load()
    ]


def _score(directory: Path) -> tuple[str, str]:
    """The model's name, and the figures that tell most. Raises `OSError`, `ValueError`, `KeyError`."""
    with (directory / "conversations.jsonl").open(encoding="utf-8") as lines:
        model = str(json.loads(next(lines))["configuration"]["model"])
    results = json.loads((directory / "results.json").read_text("utf-8"))
    shown = [
        say(f"related replies {_share(results['related'])}"),
        say(f"left unheard {_share(results['left_unheard'])}"),
        say(f"danger taken up {_share(results['danger_taken_up'])}"),
    ]
    return _NOT_OF_THE_NAME.sub("", model), "; ".join(shown)


def _share(interval: dict[str, Any]) -> str:
    return f"{interval['value']:.0%} ({interval['low']:.0%} – {interval['high']:.0%})"
