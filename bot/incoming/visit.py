"""Records the duration of a person's visit, and the last reply that carried the AI label."""

from dataclasses import replace

from bot.incoming.receipt import Receipt
from bot.incoming.situation import Situation
from dialogue.core import visits


def keep(situation: Situation, receipt: Receipt) -> Receipt:
    """Write the visit if this message changed it, which it seldom does."""
    before, visit = situation.person.visit, situation.attendance.visit
    if situation.label is not None and receipt.turn_id is not None:
        visit = replace(visit, labelled_at=situation.now)
    if receipt.cancelled_turn_ids:  # among them, perhaps, the one that was to carry the label
        visit = replace(visit, labelled_at=None)
    if visit != before:
        visits.keep(situation.session, situation.person.id, visit)
    return receipt
