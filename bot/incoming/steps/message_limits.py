"""Above the limit of a minute words are held and answered together, above that of a day refused; danger passes."""

from dataclasses import replace
from datetime import timedelta

from bot.incoming import answers
from bot.incoming.situation import Outcome, Situation

HOLD = timedelta(seconds=30)

MARK = "\N{REPLACEMENT CHARACTER}"
"""Stored in the place of words that are not heard now."""


def decide(situation: Situation) -> Outcome:
    if situation.replaces is not None:
        return situation
    if situation.is_danger or situation.is_held_by_a_human:
        return situation
    limits, channel, heard = situation.rules.limits, situation.message.address.channel, situation.person.heard
    limit = limits.exceeded(channel, heard)
    if limit is None:
        is_held = limits.holds(channel, heard)
        return replace(situation, held_until=situation.now + HOLD) if is_held else situation
    return answers.say_once(situation, situation.rules.texts.say(limit), mark=MARK)
