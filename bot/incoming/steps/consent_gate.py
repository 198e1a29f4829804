"""Somebody who has not agreed: their words wait for a day, and the notice is the answer."""

from bot.incoming import consent_question
from bot.incoming.situation import Outcome, Situation
from care import identity


def decide(situation: Situation) -> Outcome:
    if situation.rules.gate.is_open(situation.person):
        return situation
    question = situation.words.question
    truth = identity.answer(question.question, situation.rules.texts) if question else None
    return consent_question.ask(situation, situation.words.text, truth=truth)
