"""Danger is answered without a consent, by us: to protect a life none is needed. It leaves its course and an alarm."""

from dataclasses import replace

from bot.incoming import answers, danger, held_words, relay
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from care import scripts
from dialogue.states import DeliveryKind

_FEW_WORDS = 6
"""Characters; a longer message that is calm is answered by the question for consent."""


def decide(situation: Situation) -> Outcome:
    if situation.rules.gate.is_open(situation.person) or not situation.is_danger:
        return situation
    if situation.is_held_by_a_human:  # who came to help must hear them
        return relay.answer(situation)
    screening = situation.words.screening
    situation, _, assessment = danger.assess(situation, screening)
    words = danger.crisis_words(assessment) or _said_anyway(situation)
    if not words:
        return situation
    situation, message_id, conversation_id = held_words.hold(situation, situation.words.text)
    receipt = Receipt(
        conversation_id=conversation_id,
        answered_at_once=answers.say(situation, message_id, words, conversation_id=conversation_id),
    )
    return replace(receipt, risk=danger.risk(screening, assessment))


def _said_anyway(situation: Situation) -> list[answers.Said]:
    """A few words that we do not understand, in the middle of danger: no notice is put before them, and no silence."""
    if len(situation.words.own) > _FEW_WORDS or situation.words.consent_answer is not None:
        return []
    course = situation.course
    script = scripts.respond(tier=course.tier, route=course.route, said=course.said, voice=situation.rules.voice)
    return [(script.text, DeliveryKind.CRISIS)] if script is not None else []
