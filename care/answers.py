"""What somebody's words say about how things stand: answers to our own questions, and what they tell unasked.

A short answer means something only beside the question: 有 after "have you thought of how" is a plan, after "is
somebody with you" it is company. Pure; nothing in a result repeats the text.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from typing import Final

from care import lexicon
from care.prefilter import Prefiltered, prefiltered

SHORT_ANSWER: Final = 16  # characters; longer messages say by themselves what they mean


class Asks(StrEnum):
    """What one of our scripts asks. The values stand in `care/scripts/*.toml`."""

    THOUGHT = "thought"  # of dying, yes or no
    PLAN = "plan"  # how and when
    MEANS = "means"  # whether something is at hand
    TIME = "time"
    ALONE = "alone"  # or who is there
    HURT = "hurt"  # whether something was done already
    SAFE = "safe"


class Learnt(StrEnum):
    """What a message tells of how things stand."""

    THOUGHT = "thought"  # yes, they think of dying
    NO_THOUGHT = "no_thought"
    PLAN = "plan"  # yes, they thought of how
    METHOD = "method"  # which
    TIME = "time"  # when
    AT_HAND = "at_hand"  # the means are there
    HURT = "hurt"  # something was done
    ALONE = "alone"
    COMPANY = "company"  # somebody is there
    CALLED = "called"  # help was called
    HANDED_OVER = "handed_over"  # the means are away
    REFUSES = "refuses"  # no numbers, no calls
    MISREAD = "misread"  # it was about a game, the news, somebody else
    EXPLAINS = "explains"  # names a sport, a course of medicine or a book: perhaps it was about that
    RETRACTS = "retracts"  # it was a joke, they say
    CALMER = "calmer"
    FEW_WORDS = "few_words"
    UNSAFE = "unsafe"  # whoever hurts them is near
    DISTRESSED = "distressed"  # in tears, at the end of their strength; no danger by itself
    LEAVING = "leaving"  # they say goodbye


_UNASKED: Final = {
    "misread": Learnt.MISREAD,
    "explains": Learnt.EXPLAINS,
    "retracts": Learnt.RETRACTS,
    "calmer": Learnt.CALMER,
    "company": Learnt.COMPANY,
    "called": Learnt.CALLED,
    "handed": Learnt.HANDED_OVER,
    "away": Learnt.HANDED_OVER,
    "refuses": Learnt.REFUSES,
    "near": Learnt.AT_HAND,
    "distressed": Learnt.DISTRESSED,
    "leaving": Learnt.LEAVING,
}
_YES: Final = {
    Asks.THOUGHT: Learnt.THOUGHT,
    Asks.PLAN: Learnt.PLAN,
    Asks.MEANS: Learnt.AT_HAND,
    Asks.HURT: Learnt.HURT,
}
_PLANNED: Final = frozenset({Learnt.PLAN, Learnt.METHOD})
_STILL_OPEN: Final = frozenset({Asks.PLAN, Asks.MEANS, Asks.TIME})  # for whoever has a plan, whatever was asked since
_OF_DANGER: Final = (Asks.THOUGHT, Asks.PLAN, Asks.MEANS, Asks.HURT)
_SURROUNDINGS: Final = " \t\n\"'“”‘’。.,,!~…"


def understand(plain: str, asked: Iterable[Asks], *, before: frozenset[Learnt] = frozenset()) -> frozenset[Learnt]:
    """What a normalised message tells, given what was asked last and what was learnt before."""
    told, characters = set[Learnt](), frozenset(plain)
    for name, learnt in _UNASKED.items():
        tell = _tells()[name]
        if tell.may_be_in(characters) and tell.pattern.search(plain):
            told.add(learnt)
    answer = plain.strip(_SURROUNDINGS)
    if len(answer) <= SHORT_ANSWER and (fits := _fitting(answer)):
        told |= _answered(fits, tuple(asked), before)
    return frozenset(told)


def is_high_place(said: Iterable[str]) -> bool:
    """Whether somebody told, in messages of their own, of a place from which one can fall or be run over."""
    return any(_high_place().search(text) for text in said)


def _fitting(answer: str) -> set[str]:
    characters = frozenset(answer)
    return {name for name, one in _answers().items() if one.may_be_in(characters) and one.pattern.fullmatch(answer)}


def _answered(fits: set[str], asked: tuple[Asks, ...], before: frozenset[Learnt]) -> set[Learnt]:
    if Asks.ALONE in asked and "alone" in fits and not set(asked) & {Asks.PLAN, Asks.THOUGHT}:
        return {Learnt.ALONE}
    still_open = _STILL_OPEN if before & _PLANNED else frozenset[Asks]()
    if told := _details(fits, set(asked)) or _details(fits, set(still_open)):
        return told
    first = next((question for question in _OF_DANGER if question in asked), None)
    if "no" in fits and first is not None:
        return {Learnt.NO_THOUGHT}
    if "yes" in fits and first is not None:
        return {_YES[first]}
    if "alone" in fits and Asks.ALONE in asked:
        return {Learnt.ALONE}
    return {Learnt.FEW_WORDS} if "few" in fits else set()


def _details(fits: set[str], asked: set[Asks]) -> set[Learnt]:
    """What says more than yes or no."""
    if "unsafe" in fits and Asks.SAFE in asked:
        return {Learnt.UNSAFE}
    meant = (
        ("company", Learnt.COMPANY, {Asks.ALONE}),
        ("hurt", Learnt.HURT, {*Asks}),
        ("here", Learnt.AT_HAND, {*_OF_DANGER, Asks.TIME, Asks.ALONE}),
        ("set_up", Learnt.AT_HAND, {Asks.PLAN, Asks.MEANS, Asks.TIME}),
        ("place", Learnt.AT_HAND, set[Asks]() if Asks.PLAN in asked else {Asks.ALONE}),
        ("time", Learnt.TIME, {Asks.PLAN, Asks.TIME, Asks.THOUGHT}),
        ("means", Learnt.METHOD, {Asks.PLAN, Asks.MEANS, Asks.THOUGHT, Asks.TIME}),
    )
    return {learnt for name, learnt, questions in meant if name in fits and asked & questions}


@cache
def _high_place() -> re.Pattern[str]:
    return re.compile(lexicon.load("answers")["places"]["high"])


@cache
def _answers() -> dict[str, Prefiltered]:
    return {name: prefiltered(re.compile(pattern)) for name, pattern in lexicon.load("answers")["answers"].items()}


@cache
def _tells() -> dict[str, Prefiltered]:
    return {name: prefiltered(re.compile(pattern)) for name, pattern in lexicon.load("answers")["tells"].items()}
