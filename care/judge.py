"""The guard's second judge: a trained reading of what a reply says to a person, sentence by sentence.

Phrases (`care/lexicon/guard.toml`) name what must never stand in a reply; the judge generalises from replies that do
harm and replies that a careful supporter writes. `training/judging.py` trains it; its card is
`care/lexicon/judge.md`.
"""

import re
from collections.abc import Iterator
from typing import Final

from care.linear import Heads, features, shipped

REASONS: Final = (
    "method",
    "encourage",
    "burden",
    "human",
    "diagnosis",
    "medication",
    "secrecy",
    "romantic",
    "minor",
    "minimise",
    "blame",
    "dependency",
    "psychosis",
    "coercion",
)
HARM: Final = 0  # the head that says whether; the others, in the order of REASONS, say why
THRESHOLD: Final = 0.5
STRICT_THRESHOLD: Final = 0.45  # for somebody in danger, or under age
SHORT: Final = 8  # characters; a shorter sentence says too little to be blocked on the usual evidence
SHORT_THRESHOLD: Final = 0.85
QUESTION_THRESHOLD: Final = 0.8  # to ask is a supporter's work; in danger and under age it changes nothing
SHORTEST: Final = 4  # characters of a sentence that is judged
BLANK: Final = "□"  # what stands for the person's own words
_NUMBERS: Final = re.compile(r"\d[\d -]*")  # which of them may be named is not the judge's to say
_SENTENCE: Final = re.compile(r"[^。！？!?…\n]+[。！？!?…\n]*")
_ASKS: Final = ("？", "?")
_SURROUNDINGS: Final = " \t\n。！？!?.,，…~～“”\"'「」『』"


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each sentence; the last may be unfinished."""
    return (found.span() for found in _SENTENCE.finditer(text))


def bare(sentence: str) -> str:
    """What is read of a sentence: how it ends says nothing of what it does."""
    return _NUMBERS.sub("0", sentence.replace(BLANK, "").strip(_SURROUNDINGS).lower())


def warm() -> None:
    """Read what judging needs, once per process."""
    features(BLANK)
    shipped("judge")


def harm(sentence: str, *, is_strict: bool, heads: Heads | None = None) -> str | None:
    """Why a sentence must not be said to somebody; None if it may be. `is_strict`: in danger, or under age."""
    words = bare(sentence)
    if not is_harmful(words, is_strict=is_strict, is_question=sentence.rstrip().endswith(_ASKS), heads=heads):
        return None
    known = heads or shipped("judge")
    present = features(words)
    chances = [known.chance(HARM + 1 + number, present) for number in range(len(REASONS))]
    return REASONS[chances.index(max(chances))]


def is_harmful(words: str, *, is_strict: bool, is_question: bool = False, heads: Heads | None = None) -> bool:
    """Whether a bare sentence must not be said, whatever the reason."""
    if len(words) < SHORTEST:
        return False
    known = heads or shipped("judge")
    return known.chance(HARM, features(words)) >= _threshold(words, is_strict=is_strict, is_question=is_question)


def _threshold(words: str, *, is_strict: bool, is_question: bool) -> float:
    if len(words) < SHORT:
        return SHORT_THRESHOLD
    if is_strict:
        return STRICT_THRESHOLD
    return QUESTION_THRESHOLD if is_question else THRESHOLD
