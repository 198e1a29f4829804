"""Words from long before we could hear them are kept and answered by one kind sentence; danger in them goes on."""

from bot.incoming import answers
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from dialogue.core import intake
from dialogue.states import DeliveryKind


def decide(situation: Situation) -> Outcome:
    if not situation.message.is_late or situation.is_danger:
        return situation
    situation, conversation = situation.in_conversation()
    was_said = intake.was_late_before(situation.session, conversation.id, now=situation.now)
    message_id = answers.store(situation, situation.words.text, conversation_id=conversation.id)
    if was_said:
        return Receipt(conversation_id=conversation.id)
    words = [(situation.rules.texts.say("came_late"), DeliveryKind.NOTICE)]
    return Receipt(
        conversation_id=conversation.id,
        answered_at_once=answers.say(situation, message_id, words, conversation_id=conversation.id),
    )
