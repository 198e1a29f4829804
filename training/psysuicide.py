"""Read texts labelled with PsySUICIDE's labels (MIT licence, PsyGUARD by Huachuan Qiu and others)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

UNRELATED: Final = "与自杀/自伤/攻击行为无关"
ACUTE: Final = frozenset({"自杀计划", "自杀准备行为", "自杀未遂", "自伤行为"})
SELF_DIRECTED: Final = ACUTE | {"主动自杀意图", "被动自杀意图", "自伤意图"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One text and its labels."""

    text: str
    labels: frozenset[str]

    @property
    def is_self_directed(self) -> bool:
        return bool(self.labels & SELF_DIRECTED)

    @property
    def is_acute(self) -> bool:
        return bool(self.labels & ACUTE)

    @property
    def is_unrelated(self) -> bool:
        return self.labels == {UNRELATED}


def read(path: Path) -> list[Labelled]:
    """Read a JSON list of {text, labels}; other keys are ignored."""
    rows = json.loads(path.read_text("utf-8"))
    return [Labelled(text=row["text"], labels=frozenset(row["labels"])) for row in rows]
