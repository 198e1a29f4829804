"""你是真人吗: answered truthfully and without the model; beside other words, the truth is said before the reply."""

from dataclasses import replace

from bot.incoming import answers, handover
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from care import identity
from care.identity import Question
from care.screening import Tier


def decide(situation: Situation) -> Outcome:
    question = situation.words.question
    if question is None or situation.is_held_by_a_human:
        return situation
    situation, truth = _truth(situation, question.question)
    is_calm = situation.words.screening.tier is Tier.NONE and situation.course.tier < Tier.ACTIVE
    if not (question.is_whole_message and is_calm):
        return replace(situation, preface=truth)
    situation, conversation = situation.in_conversation()
    message_id = answers.store(situation, situation.words.text, conversation_id=conversation.id)
    answer = answers.notice(situation, message_id, truth, conversation_id=conversation.id)
    return Receipt(conversation_id=conversation.id, answered_at_once=answer)


def _truth(situation: Situation, question: Question) -> tuple[Situation, str]:
    """Somebody who asks for a human is told whether one is on duty, and the staff are alerted."""
    if question is not Question.FOR_A_HUMAN or not situation.rules.gate.is_open(situation.person):
        return situation, identity.answer(question, situation.rules.texts)
    situation, conversation = situation.in_conversation()
    return situation, handover.ask_for_a_human(situation, conversation)
