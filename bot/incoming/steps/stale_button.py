"""A button under the notice that says again what somebody agreed to before: nothing happens."""

from bot.incoming.receipt import ConsentOutcome, Receipt
from bot.incoming.situation import Button, Outcome, Situation


def decide(situation: Situation) -> Outcome:
    what, person = situation.what, situation.person
    if not isinstance(what, Button) or not situation.rules.gate.is_open(person):
        return situation
    if what.answer.agrees and what.answer.band in {None, person.age_band}:
        return Receipt(is_repeat=True, consent=ConsentOutcome.AGREED_BEFORE)
    return situation
