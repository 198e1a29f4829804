"""A person's limit per minute and per day: said once in a row. Danger passes, and so do words to a human."""

from bot.incoming import answers
from bot.incoming.situation import Outcome, Situation

MARK = "\N{REPLACEMENT CHARACTER}"
"""Stored in the place of words that are not heard now."""


def decide(situation: Situation) -> Outcome:
    if situation.replaces is not None:
        return situation
    limit = situation.rules.limits.exceeded(situation.message.address.channel, situation.person.heard)
    if limit is None or situation.is_danger or situation.is_held_by_a_human:
        return situation
    return answers.say_once(situation, situation.rules.texts.say(limit), mark=MARK)
