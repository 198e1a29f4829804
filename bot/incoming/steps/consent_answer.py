"""Somebody who has not agreed answers the notice in words: yes, no, or an age. Danger in the words comes first."""

from bot.incoming import consent_answers
from bot.incoming.situation import Outcome, Situation
from care.screening import Tier


def decide(situation: Situation) -> Outcome:
    if situation.rules.gate.is_open(situation.person) or situation.words.screening.tier >= Tier.ACTIVE:
        return situation
    answer = situation.words.consent_answer
    return situation if answer is None else consent_answers.obey(situation, answer)
