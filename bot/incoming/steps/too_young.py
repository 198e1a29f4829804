"""A child whom the operator does not serve is told where to find help; danger is answered first."""

from bot.incoming import consent_answers, consent_question
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from bot.incoming.steps import danger_before_consent
from care.screening import Tier


def decide(situation: Situation) -> Outcome:
    if not situation.rules.gate.turns_away(situation.person.age_band):
        return situation
    if situation.words.screening.tier < Tier.ACTIVE:
        return consent_answers.turn_away(situation)
    outcome = danger_before_consent.decide(situation)
    if isinstance(outcome, Receipt):
        return outcome
    return consent_question.ask(outcome, situation.words.text)
