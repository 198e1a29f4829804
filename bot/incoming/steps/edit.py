"""An edit replaces words that nobody has answered yet; one of answered words is screened, and not answered."""

from dataclasses import replace

from bot.incoming import answers, danger, relay
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Edit, Outcome, Situation
from care.screening import Tier
from dialogue.core import intake


def decide(situation: Situation) -> Outcome:
    what = situation.what
    if not isinstance(what, Edit):
        return situation
    stored = intake.stored(situation.session, situation.person, situation.message, external_id=what.original_id)
    if stored is None:
        return situation
    if situation.is_repeat:
        return Receipt(is_repeat=True)
    if situation.words.fault is None and situation.words.text == stored.text:
        return Receipt()
    if stored.is_settled:
        return _after_the_answer(situation)
    return replace(situation, replaces=stored)


def _after_the_answer(situation: Situation) -> Receipt:
    """Nobody answers it any more, except to danger, or a human who answers here."""
    screening = situation.words.screening_at_length
    is_kept = situation.words.fault is None and _may_be_kept(situation)
    if is_kept and situation.is_held_by_a_human:
        return relay.answer(situation)
    if screening.tier < Tier.ACTIVE:
        return Receipt()
    if not is_kept:
        return danger.answer_what_is_refused(situation, screening, explanation=None)
    situation, conversation, assessment = danger.assess(situation, screening)
    said = danger.crisis_words(assessment)
    if assessment.bypasses_model:
        return danger.answer_without_the_model(
            situation, screening, conversation, assessment, said, text=situation.words.text
        )
    message_id = answers.store(situation, situation.words.text, conversation_id=conversation.id)
    return Receipt(
        conversation_id=conversation.id,
        answered_at_once=answers.say(situation, message_id, said, conversation_id=conversation.id),
        risk=danger.risk(screening, assessment),
    )


def _may_be_kept(situation: Situation) -> bool:
    return situation.person.blocked_at is None and situation.rules.gate.is_open(situation.person)
