"""A button under the notice is pressed by somebody who has agreed already: nothing happens."""

from bot.incoming.receipt import Receipt
from bot.incoming.situation import Button, Outcome, Situation


def decide(situation: Situation) -> Outcome:
    if isinstance(situation.what, Button) and situation.rules.gate.is_open(situation.person):
        return Receipt(is_repeat=True)
    return situation
