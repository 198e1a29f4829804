"""Danger is answered without a consent, by us: to protect a life none is needed. It leaves its course and an alarm."""

from dataclasses import replace

from bot.incoming import answers, danger, held_words, relay
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation


def decide(situation: Situation) -> Outcome:
    if situation.rules.gate.is_open(situation.person) or not situation.is_danger:
        return situation
    if situation.is_held_by_a_human:  # who came to help must hear them
        return relay.answer(situation)
    screening = situation.words.screening
    situation, _, assessment = danger.assess(situation, screening)
    words = danger.crisis_words(assessment)
    if not words:
        return situation
    situation, message_id, conversation_id = held_words.hold(situation, situation.words.text)
    receipt = Receipt(
        conversation_id=conversation_id,
        answered_at_once=answers.say(situation, message_id, words, conversation_id=conversation_id),
    )
    return replace(receipt, risk=danger.risk(screening, assessment))
