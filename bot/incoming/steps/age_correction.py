"""Somebody who agreed says the words of consent again with another age: the age that they gave before was a mistake."""

from bot.incoming import consent_answers
from bot.incoming.situation import Outcome, Situation


def decide(situation: Situation) -> Outcome:
    answer = situation.words.consent_answer
    if answer is not None and answer.agrees and answer.band not in {None, situation.person.age_band}:
        return consent_answers.obey(situation, answer)
    return situation
