"""Reminders that are due in long use, and after a long pause."""

from dataclasses import replace

from bot.incoming.situation import Outcome, Situation


def decide(situation: Situation) -> Outcome:
    reminder = situation.attendance.reminder
    if reminder is None:
        return situation
    return replace(situation, reminders=(*situation.reminders, situation.rules.gate.say(reminder)))
