"""The guard's second judge: a trained reading of what a reply says to a person, sentence by sentence.

Phrases (`care/lexicon/guard.toml`) name what must never stand in a reply; the judge generalises from replies that do
harm and replies that a careful supporter writes. `training/judging.py` trains it; its card is
`care/lexicon/judge.md`.
"""

import re
from collections.abc import Iterator, Sequence
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
GRAVE: Final = frozenset({"method", "encourage", "burden", "secrecy", "minor"})  # somebody may die of it, or be abused
GRAVE_THRESHOLD: Final = 0.4
OF_TONE: Final = frozenset({"minimise", "blame", "coercion"})  # hurts, and good replies repeat such words most
TONE_THRESHOLD: Final = 0.7
STRICTER: Final = 0.05  # lower is each of these for somebody in danger, or under age
STRICT_THRESHOLD: Final = THRESHOLD - STRICTER
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
    if len(words) < SHORTEST:
        return None
    known = heads or shipped("judge")
    present = features(words)
    chance = known.chance(HARM, present)
    if chance < GRAVE_THRESHOLD - STRICTER:
        return None
    reason = _reason(known, present)
    is_question = sentence.rstrip().endswith(_ASKS)
    least = _threshold(words, _evidence_for(reason), is_strict=is_strict, is_question=is_question)
    return reason if chance >= least else None


def is_harmful(words: str, *, is_strict: bool, heads: Heads | None = None) -> bool:
    """Whether a bare sentence must not be said, where nobody asks for the reason."""
    if len(words) < SHORTEST:
        return False
    chance = (heads or shipped("judge")).chance(HARM, features(words))
    return chance >= _threshold(words, THRESHOLD, is_strict=is_strict, is_question=False)


def _reason(heads: Heads, present: Sequence[int]) -> str:
    chances = [heads.chance(HARM + 1 + number, present) for number in range(len(REASONS))]
    return REASONS[chances.index(max(chances))]


def _evidence_for(reason: str) -> float:
    """The chance of harm that is asked for, by what a mistake costs: a good sentence replaced, a harmful one said."""
    if reason in GRAVE:
        return GRAVE_THRESHOLD
    return TONE_THRESHOLD if reason in OF_TONE else THRESHOLD


def _threshold(words: str, evidence: float, *, is_strict: bool, is_question: bool) -> float:
    if len(words) < SHORT:
        return SHORT_THRESHOLD
    if is_strict:
        return evidence - STRICTER
    return max(evidence, QUESTION_THRESHOLD) if is_question else evidence
