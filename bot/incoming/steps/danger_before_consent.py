"""Danger is answered without a consent, by us: to protect a life none is needed. It leaves its course and an alarm."""

from dataclasses import replace

from bot.incoming import answers, consent_question, danger, held_words, relay
from bot.incoming.answers import Said
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from bot.incoming.steps import identity_question
from care.screening import Tier
from dialogue.states import DeliveryKind

_FEW_WORDS = 6
"""Characters; a longer message that is calm is answered by the question for consent."""


def decide(situation: Situation) -> Outcome:
    if situation.rules.gate.is_open(situation.person):
        return situation
    if situation.is_danger:
        return _answer_danger(situation)
    if situation.words.screening.tier is Tier.DISTRESS and situation.person.declined_at is None:
        return _answer_distress(situation)
    return situation


def _answer_danger(situation: Situation) -> Outcome:
    if situation.is_held_by_a_human:  # who came to help must hear them
        return relay.answer(situation)
    screening = situation.words.screening
    situation, _, assessment = danger.assess(situation, screening)
    words = _told(danger.all_words(assessment)) or _said_anyway(situation)
    if not words:
        return situation
    situation, truth = identity_question.truth(situation)
    if truth is not None:
        words.insert(0, (truth, DeliveryKind.CRISIS))
    situation, message_id, conversation_id = held_words.hold(situation, situation.words.text)
    receipt = Receipt(
        conversation_id=conversation_id,
        answered_at_once=answers.say(situation, message_id, words, conversation_id=conversation_id),
    )
    return replace(receipt, risk=danger.risk(screening, assessment))


def _answer_distress(situation: Situation) -> Outcome:
    """The gentle question, whose answer is then heard as one; the words wait for the consent like others."""
    screening = situation.words.screening
    situation, _, assessment = danger.assess(situation, screening)
    receipt = consent_question.ask(situation, situation.words.text, before=_told(danger.all_words(assessment)))
    return replace(receipt, risk=danger.risk(screening, assessment))


def _said_anyway(situation: Situation) -> list[Said]:
    """A few words that we do not understand, in the middle of danger: no notice is put before them, and no silence."""
    if len(situation.words.own) > _FEW_WORDS or situation.words.consent_answer is not None:
        return []
    return _told(danger.next_words(situation))


def _told(texts: list[str]) -> list[Said]:
    return [(text, DeliveryKind.CRISIS) for text in texts]
