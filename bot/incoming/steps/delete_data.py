"""A person confirms that everything of theirs is to be deleted, right after they were asked whether they mean it."""

from datetime import timedelta
from uuid import UUID

from bot.incoming import command_answers, staff_alert
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from dialogue.core import intake, people
from dialogue.core.commands import Command
from dialogue.rights import erasure
from dialogue.states import ClosedBy

CONFIRM_WITHIN = timedelta(minutes=10)
"""The question whether to delete everything stands that long, and until the next message."""


def decide(situation: Situation) -> Outcome:
    if situation.words.command is not Command.CONFIRM_DELETE:
        return situation
    if not _was_asked(situation):
        return command_answers.answer(situation, Command.CONFIRM_DELETE, "rights_nothing_to_confirm")
    command_answers.store(situation, Command.CONFIRM_DELETE)
    if situation.is_held_by_a_human:  # who cannot be told under the key that is about to go
        staff_alert.alert(situation, "rights_holder_told")
    return Receipt(command=Command.CONFIRM_DELETE, answered_at_once=_erase(situation))


def _was_asked(situation: Situation) -> bool:
    session, person, mark = situation.session, situation.person, Command.DELETE.name
    return intake.is_burst(session, person, mark=mark, within=CONFIRM_WITHIN, now=situation.now)


def _erase(situation: Situation) -> UUID | None:
    """Returns the farewell; somebody who was blocked stays blocked."""
    session, person, message = situation.session, situation.person, situation.message
    farewell_id = erasure.erase(
        session, person.id, by=ClosedBy.PERSON, actor="person", farewell_to=message.address, now=situation.now
    )
    if person.blocked_at is not None:
        keys, channel = situation.rules.office.keys, message.address.channel
        people.stay_blocked(session, keys, channel=channel, user_id=message.user_id, since=person.blocked_at)
    return farewell_id
