"""The label AI生成 under the first reply of a day."""

from dataclasses import replace

from bot.incoming.situation import Outcome, Situation
from care.visit import is_label_due


def decide(situation: Situation) -> Outcome:
    if situation.rules.gate.is_labelling and is_label_due(situation.person.visit, situation.now):
        return replace(situation, label=situation.rules.gate.say("disclosure_label"))
    return situation
