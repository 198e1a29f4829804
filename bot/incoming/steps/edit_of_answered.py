"""An edit of words that were answered, refused or obeyed already changes nothing."""

from bot.incoming.receipt import Receipt
from bot.incoming.situation import Edit, Outcome, Situation
from dialogue.core import intake


def decide(situation: Situation) -> Outcome:
    what, message = situation.what, situation.message
    if isinstance(what, Edit) and intake.is_settled(situation.session, message, external_id=what.original_id):
        return Receipt()
    return situation
