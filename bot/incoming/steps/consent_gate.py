"""Somebody who has not agreed: their words wait for a day, and the notice is the answer."""

from bot.incoming import consent_question
from bot.incoming.situation import Outcome, Situation
from bot.incoming.steps import identity_question
from dialogue.states import DeliveryKind


def decide(situation: Situation) -> Outcome:
    if situation.rules.gate.is_open(situation.person):
        return situation
    situation, truth = identity_question.truth(situation)
    before = [] if truth is None else [(truth, DeliveryKind.NOTICE)]
    return consent_question.ask(situation, situation.words.text, before=before)
