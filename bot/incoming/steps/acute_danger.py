"""The words go into the course of danger, admins are alarmed; in acute danger all that is said is written by us."""

from bot.incoming import danger, visit
from bot.incoming.situation import Outcome, Situation
from dialogue.states import DeliveryKind


def decide(situation: Situation) -> Outcome:
    words = situation.words
    situation, conversation, assessment = danger.assess(situation, words.screening)
    if not assessment.bypasses_model:
        return situation
    said = danger.crisis_words(assessment)
    if situation.preface is not None:
        said.insert(0, (situation.preface, DeliveryKind.CRISIS))
    receipt = danger.answer_without_the_model(
        situation, words.screening, conversation, assessment, said, text=words.text
    )
    return visit.keep(situation, receipt)
