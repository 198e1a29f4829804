"""Are you a person? Are you an AI? Such questions are answered by us, truthfully, before the model sees them."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from care import lexicon
from care.normalise import normalise
from care.prefilter import Prefiltered, prefiltered

SHORT_MESSAGE: Final = 24  # characters; a longer message says more than the question and goes on to the model as well


class Question(StrEnum):
    """What somebody wants to know about the one they talk to. The values are keys of the locale's texts."""

    IS_HUMAN = "identity_is_human"  # 你是真人吗, 有人在吗
    IS_PROGRAM = "identity_is_program"  # 你是AI吗, 你是机器人吗
    IS_PROFESSIONAL = "identity_is_professional"  # 你是医生吗, 你是咨询师吗
    WHO = "identity_who"  # 你是谁
    FOR_A_HUMAN = "identity_for_a_human"  # 转人工


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question about identity, and whether the message holds anything else."""

    question: Question
    is_whole_message: bool


def asked(text: str) -> Asked | None:
    """Recognise a question about who answers here; None where there is none."""
    plain = normalise(text)
    characters = frozenset(plain)
    for question, ways in _questions():
        if any(way.may_be_in(characters) and way.pattern.search(plain) for way in ways):
            return Asked(question=question, is_whole_message=len(plain) <= SHORT_MESSAGE)
    return None


@cache
def _questions() -> tuple[tuple[Question, tuple[Prefiltered, ...]], ...]:
    data = lexicon.load("identity")
    return tuple(
        (
            Question(entry["name"]),
            tuple(prefiltered(re.compile(lexicon.expand(way, data["words"]))) for way in entry["patterns"]),
        )
        for entry in data["question"]
    )
