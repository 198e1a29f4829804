"""Somebody who has not agreed answers the notice in words: yes, no, or an age. Danger in the words comes first."""

import re

from bot.incoming import consent_answers
from bot.incoming.situation import Outcome, Situation
from care.normalise import normalise
from care.screening import Tier

_BARE = 3  # characters
_NAMES_CONSENT = re.compile("同意|接受|agree|accept|consent|decline")


def decide(situation: Situation) -> Outcome:
    if situation.rules.gate.is_open(situation.person) or situation.words.screening.tier >= Tier.ACTIVE:
        return situation
    answer = situation.words.consent_answer
    if answer is not None and answer.agrees is False and _answers_us(situation):
        return situation
    return situation if answer is None else consent_answers.obey(situation, answer)


def _answers_us(situation: Situation) -> bool:
    """A bare no in the middle of danger answers what we asked there, not the notice."""
    own = situation.words.own
    is_bare = len(own) <= _BARE or _NAMES_CONSENT.search(normalise(own)) is None
    return situation.course.tier >= Tier.ACTIVE and is_bare
