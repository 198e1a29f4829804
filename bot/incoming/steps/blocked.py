"""Somebody whom an admin blocked, or who is not invited, is told so once a day; danger is answered all the same."""

from datetime import timedelta

from bot.incoming import answers, danger
from bot.incoming.situation import Edit, Outcome, Situation, Text
from care.screening import Tier
from dialogue.core import commands
from dialogue.core.commands import Command

_RIGHTS = frozenset({Command.PRIVACY, Command.EXPORT, Command.DELETE, Command.CONFIRM_DELETE, Command.WITHDRAW})
"""What a person may ask for whatever they did."""

_MARK = "\N{NO ENTRY}"
_A_DAY = timedelta(days=1)


def decide(situation: Situation) -> Outcome:
    if not _is_kept_out(situation) or _asks_for_a_right(situation):
        return situation
    screening = situation.words.screening_at_length
    if screening.tier >= Tier.ACTIVE or situation.course.tier is Tier.ACUTE:
        return danger.answer_what_is_refused(situation, screening, explanation=None)
    key = "uninvited" if situation.person.blocked_at is None else "blocked"
    return answers.say_once(situation, situation.rules.gate.say(key), mark=_MARK, within=_A_DAY)


def _is_kept_out(situation: Situation) -> bool:
    message = situation.message
    is_invited = situation.rules.limits.invites(message.address.channel, message.user_id)
    return situation.person.blocked_at is not None or not is_invited


def _asks_for_a_right(situation: Situation) -> bool:
    return isinstance(situation.what, Text | Edit) and commands.parse(situation.words.raw) in _RIGHTS
