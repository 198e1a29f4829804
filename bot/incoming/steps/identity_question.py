"""你是真人吗: answered truthfully and without the model; beside other words, the truth is said before the reply."""

from dataclasses import replace

from bot.incoming import answers
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from care import identity
from care.screening import Tier


def decide(situation: Situation) -> Outcome:
    question = situation.words.question
    if question is None or situation.is_held_by_a_human:
        return situation
    truth = identity.answer(question.question, situation.rules.texts)
    is_calm = situation.words.screening.tier is Tier.NONE and situation.course.tier is not Tier.ACUTE
    if not (question.is_whole_message and is_calm):
        return replace(situation, preface=truth)
    situation, conversation = situation.in_conversation()
    message_id = answers.store(situation, situation.words.text, conversation_id=conversation.id)
    answer = answers.notice(situation, message_id, truth, conversation_id=conversation.id)
    return Receipt(conversation_id=conversation.id, answered_at_once=answer)
