"""The platform delivers a message a second time: it was stored before, and nothing happens."""

from bot.incoming import relay
from bot.incoming.receipt import Receipt
from bot.incoming.situation import NotText, Outcome, Situation


def decide(situation: Situation) -> Outcome:
    if not situation.is_repeat:
        return situation
    if isinstance(situation.what, NotText) and relay.may_show(situation):
        relay.show(situation)  # another picture of an album
    return Receipt(is_repeat=True)
