"""The platform delivers a message a second time: it was stored before, and nothing happens."""

from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from dialogue.core import intake


def decide(situation: Situation) -> Outcome:
    if intake.is_repeat(situation.session, situation.message):
        return Receipt(is_repeat=True)
    return situation
