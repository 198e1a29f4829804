"""你是真人吗: answered truthfully and without the model; beside other words, the truth is said before the reply."""

from dataclasses import replace

from bot.incoming import answers, command_answers, handover
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from care.identity import Question
from care.screening import Tier


def decide(situation: Situation) -> Outcome:
    question = situation.words.question
    if question is None or situation.is_held_by_a_human:
        return situation
    situation, said = truth(situation)
    is_calm = situation.words.screening.tier is Tier.NONE and situation.course.tier < Tier.ACTIVE
    if said is None or not (question.is_whole_message and is_calm):
        return replace(situation, preface=said)
    situation, conversation = situation.in_conversation()
    message_id = answers.store(situation, situation.words.text, conversation_id=conversation.id)
    answer = answers.notice(situation, message_id, said, conversation_id=conversation.id)
    return Receipt(conversation_id=conversation.id, answered_at_once=answer)


def truth(situation: Situation) -> tuple[Situation, str | None]:
    """What is true of who answers here, if that was asked; where a human was asked for, the staff are alerted."""
    asked = situation.words.question
    if asked is None:
        return situation, None
    if asked.question is not Question.FOR_A_HUMAN:
        return situation, command_answers.say(situation, asked.question)
    situation, conversation = situation.in_conversation()
    return situation, handover.ask_for_a_human(situation, conversation)
