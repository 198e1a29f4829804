"""Some commands are for people who agreed: others are shown the notice instead."""

from bot.incoming import consent_question
from bot.incoming.situation import Outcome, Situation
from dialogue.core.commands import Command

_AFTER_CONSENT = frozenset({Command.START, Command.SHARE, Command.SHARE_YES, Command.CONTACT})
"""不同意用于改进 is always obeyed."""


def decide(situation: Situation) -> Outcome:
    if situation.words.command in _AFTER_CONSENT and not situation.rules.gate.is_open(situation.person):
        return consent_question.ask(situation, None, is_greeting=True)
    return situation
