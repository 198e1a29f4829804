"""Screening grows with the length of a text and not with its square, whatever is repeated in it."""

import re
from collections.abc import Callable
from importlib.resources import files
from typing import Final

import pytest

from care.age import stated_age
from care.answers import Asks, understand
from care.normalise import normalise
from care.rules import rulebook
from tests.care.linearity import is_quick, seconds

SHORT, LONG = 300, 3000  # characters
WHOLE_TEXTS: Final[dict[str, Callable[[str], object]]] = {
    "normalise": normalise,
    "mask": lambda plain: rulebook().mask(plain),
    "stories": lambda plain: rulebook().without_stories(plain),
    "age": stated_age,
    "answers": lambda plain: understand(plain, tuple(Asks)),
    "over": lambda plain: rulebook().is_over(plain),
}


def patterns_of(*names: str) -> str:
    return "".join((files("care.lexicon") / f"{name}.toml").read_text("utf-8") for name in names)


def units() -> list[str]:
    """Every word that a repetition in our patterns repeats, and signs."""
    groups = re.findall(r"\(\?:([^()]*)\)\{[01],\d+\}", patterns_of("risk", "answers", "spelling"))
    words = {word for group in groups for word in group.split("|") if word.isalnum()}
    return sorted(words | set(",。!?;:.~ -*1a我"))


@pytest.mark.parametrize("name", WHOLE_TEXTS)
def test_no_word_costs_more_for_being_repeated(name: str) -> None:
    read, slow = WHOLE_TEXTS[name], []
    for unit in units():
        long = (unit * LONG)[:LONG]
        if not is_quick(read, long, within_seconds=0.02):  # else its shape does not matter
            short = seconds(read, long[:SHORT])
            slow += [unit] if seconds(read, long) > 40 * short else []
    assert not slow


def test_no_repetition_in_what_reads_whole_texts_is_unbounded() -> None:
    lines = [line for line in patterns_of("risk", "answers", "meanings").splitlines() if not line.startswith("#")]
    assert not [line[:40] for line in lines if re.search(r"\)[*+](?!\?)", line)]
