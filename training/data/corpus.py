"""A corpus: cleaned dialogues, split once, beside what is known about them."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from training.data import formats
from training.data.cleaning import Cleaning
from training.data.dialogue import Dialogue, read_dialogues, write_dialogues
from training.trouble import TrainingTrouble

TRAIN = "train.jsonl.gz"
HELD_OUT = "held_out.jsonl.gz"
CARD = "corpus.yaml"
_MODULUS = 10_000
_BEARABLE = 0.05
_NAMED = 3
_MAX_LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Two disjoint sets of dialogues; no opening stands in both."""

    train: Sequence[Dialogue]
    held_out: Sequence[Dialogue]


def build(
    files: Sequence[Path], target: Path, *, held_out: float, licence: str, has_single_turns: bool = False
) -> dict[str, Any]:
    """Clean and split the dialogues of `files` into `target`; returns the card. Raises `TrainingTrouble`.

    `held_out` is a share of the dialogues; `licence` is the operator's note on what the sources allow. Dialogues of one
    exchange are left out unless `has_single_turns`. Single ones that have no known form are named in the card; a file
    with more than one in twenty of them is refused.
    """
    if target.exists() and any(target.iterdir()):
        raise TrainingTrouble(f"{target} is not empty. Name a new directory.")
    cleaning = Cleaning(least_exchanges=1) if has_single_turns else Cleaning()
    unread: list[str] = []
    sides: tuple[list[Dialogue], list[Dialogue]] = ([], [])
    for file in files:
        items = list(formats.read(file))
        unread += _unread(file, items)
        for dialogue in cleaning.accepted(items):
            sides[is_held_out(dialogue, share=held_out)].append(dialogue)
    if not sides[0]:
        raise TrainingTrouble(
            f"No dialogue is left to train on ({_listed(cleaning.refused) or 'the files are empty'})."
        )
    target.mkdir(parents=True, exist_ok=True)
    for name, side in zip((TRAIN, HELD_OUT), sides, strict=True):
        write_dialogues(target / name, side)
    card = {
        "licence": licence,
        "sources": [{"file": file.name, "sha256": _digest(file)} for file in files],
        "refused": {str(reason): count for reason, count in cleaning.refused.most_common()},
        **({"unreadable": unread} if unread else {}),
        "train": statistics(sides[0]),
        "held_out": statistics(sides[1]),
    }
    (target / CARD).write_text(yaml.safe_dump(card, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return card


def load(directory: Path) -> Corpus:
    """What `build` wrote. Raises `TrainingTrouble`."""
    return Corpus(train=read_dialogues(directory / TRAIN), held_out=read_dialogues(directory / HELD_OUT))


def is_held_out(dialogue: Dialogue, *, share: float) -> bool:
    """Decided by the opening alone, so that it never changes and that retold dialogues stay together."""
    digest = hashlib.sha256(dialogue.opening.encode()).digest()
    return int.from_bytes(digest[:8]) % _MODULUS < share * _MODULUS


def statistics(dialogues: Sequence[Dialogue]) -> dict[str, float | int]:
    """Counts, and lengths in characters."""
    exchanges = [exchange for dialogue in dialogues for exchange in dialogue.exchanges]
    count = max(1, len(exchanges))
    said = sum(len(exchange.text) for exchange in exchanges)
    replied = sum(len(exchange.reply) for exchange in exchanges)
    return {
        "dialogues": len(dialogues),
        "exchanges": len(exchanges),
        "exchanges_per_dialogue": round(len(exchanges) / max(1, len(dialogues)), 2),
        "client_characters": said,
        "supporter_characters": replied,
        "client_characters_per_turn": round(said / count, 1),
        "supporter_characters_per_turn": round(replied / count, 1),
    }


def _unread(file: Path, items: Sequence[Any]) -> list[str]:
    """Where single dialogues have no known form, and why. Raises `TrainingTrouble` where many have none."""
    found = [f"{file.name}:{item.number}: {item.reason}" for item in items if isinstance(item, formats.Unread)]
    if len(found) > max(1, _BEARABLE * len(items)):
        raise TrainingTrouble(f"{file} has {len(found)} dialogues in no known form: {'; '.join(found[:_NAMED])}.")
    return found[:_MAX_LISTED]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _listed(refused: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in Counter(refused).most_common())
