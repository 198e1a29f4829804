"""The roles of the simulated seekers, as a counsellor would brief an actor; none of them is a real person."""

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from training.trouble import TrainingTrouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is said when a question has one of the `cues`."""

    cues: tuple[str, ...]
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCard:
    """One role. The actor reads the first six texts; the scripted seeker says the rest word by word.

    `trust` is after how many replies in a row that heard them the hidden matter is told unasked, `patience` after how
    many that did not they leave.
    """

    id: str
    person: str
    situation: str
    temper: str
    hides: str
    leaves: str
    opening: str
    tells: tuple[str, ...]
    answers: tuple[Answer, ...]
    secret: Answer
    farewell: str
    parting: str
    trust: int = 3
    patience: int = 3
    is_in_danger: bool = False


@cache
def load() -> tuple[RoleCard, ...]:
    """All cards, in the order of the file."""
    return tuple(_card(entry) for entry in tomllib.loads(_text())["card"])


def choose(names: Sequence[str]) -> tuple[RoleCard, ...]:
    """The named cards, or all. Raises `TrainingTrouble` for a name that no card has."""
    known = {card.id: card for card in load()}
    if unknown := [name for name in names if name not in known]:
        raise TrainingTrouble(f"No role card is called {', '.join(unknown)}.")
    return tuple(known[name] for name in names) or load()


def digest() -> str:
    """Twelve characters that change when a card does."""
    return hashlib.sha256(_text().encode()).hexdigest()[:12]


def _text() -> str:
    return (files("training.simulation") / "role_cards.toml").read_text("utf-8")


def _card(entry: dict[str, Any]) -> RoleCard:
    read = {
        "tells": tuple(entry["tells"]),
        "answers": tuple(map(_answer, entry["answers"])),
        "secret": _answer(entry["secret"]),
    }
    return RoleCard(**(entry | read))


def _answer(pair: list[str]) -> Answer:
    """Written as `["睡|失眠", "says"]`."""
    cues, says = pair
    return Answer(cues=tuple(cues.split("|")), says=says)
