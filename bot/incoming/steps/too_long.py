"""A message that is too long is refused; it is screened all the same."""

from bot.incoming import answers, danger
from bot.incoming.situation import Outcome, Situation
from care.screening import Tier
from dialogue.errors import MessageTooLong


def decide(situation: Situation) -> Outcome:
    fault = situation.words.fault
    if not isinstance(fault, MessageTooLong):
        return situation
    explanation = situation.rules.texts.say("error_too_long", length=fault.length, max_length=fault.max_length)
    screening = situation.words.screening_at_length
    if screening.tier < Tier.ACTIVE:
        return answers.refuse(situation, explanation)
    return danger.answer_what_is_refused(situation, screening, explanation=explanation)
