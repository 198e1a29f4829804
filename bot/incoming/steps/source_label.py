"""The label of the link that brought somebody here is noted; it names a place, never a person."""

from bot.incoming.situation import Outcome, Situation
from dialogue.core import commands, referral


def decide(situation: Situation) -> Outcome:
    label = commands.source_label(situation.words.own) if situation.words.command is not None else None
    if label is not None:
        referral.note(situation.session, situation.person.id, label, now=situation.now)
    return situation
