"""A message without words is refused kindly."""

from bot.incoming import answers
from bot.incoming.situation import Outcome, Situation
from dialogue.errors import EmptyMessage


def decide(situation: Situation) -> Outcome:
    if isinstance(situation.words.fault, EmptyMessage):
        return answers.refuse(situation, situation.rules.texts.say("error_empty"))
    return situation
