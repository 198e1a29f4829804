"""After an hour somebody under age is to rest: said once in a row. Distress passes, and so do words to a human."""

from bot.incoming import answers
from bot.incoming.situation import Outcome, Situation
from bot.incoming.steps.message_limits import MARK
from care.answers import Learnt
from care.screening import Tier


def decide(situation: Situation) -> Outcome:
    if not situation.attendance.is_resting or situation.is_held_by_a_human:
        return situation
    screening = situation.words.screening
    if max(screening.tier, situation.course.tier) > Tier.NONE or Learnt.DISTRESSED in screening.learnt:
        return situation
    return answers.say_once(situation, situation.rules.gate.say("disclosure_rest"), mark=MARK)
