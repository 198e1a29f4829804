"""A complaint: kept for the admins, who are told that there is one; a few a day."""

from bot.incoming import command_answers, staff_alert
from bot.incoming.situation import Outcome, Situation
from dialogue.core import commands
from dialogue.core.commands import Command
from dialogue.rights import complaints


def decide(situation: Situation) -> Outcome:
    if situation.words.command is not Command.COMPLAIN:
        return situation
    text = commands.argument(situation.words.own)
    if not text:
        return command_answers.answer(situation, Command.COMPLAIN, "command_complain")
    session, person, now = situation.session, situation.person, situation.now
    if not complaints.may_make(session, person, now=now):
        return command_answers.answer_words(situation, Command.COMPLAIN, "rights_complaint_enough", text)
    conversation_id = situation.conversation.id if situation.conversation else None
    complaints.make(session, person, text, conversation_id=conversation_id, now=now)
    staff_alert.alert(situation, "rights_complaint_arrived")
    return command_answers.answer_words(situation, Command.COMPLAIN, "rights_complaint_kept", text)
