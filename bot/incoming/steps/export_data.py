"""A person asks for a copy of their data: the files are made when they are sent, and nothing of them is stored."""

from bot.incoming import command_answers
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from dialogue.core import outbox
from dialogue.core.commands import Command
from dialogue.states import DeliveryKind


def decide(situation: Situation) -> Outcome:
    if situation.words.command is not Command.EXPORT:
        return situation
    if not situation.message.is_private:
        return command_answers.answer(situation, Command.EXPORT, "rights_in_private")
    if outbox.is_owed(situation.session, situation.person.id, DeliveryKind.EXPORT):
        return command_answers.answer(situation, Command.EXPORT, "rights_export_owed")
    owed = outbox.owe_unwritten(
        situation.session,
        person_id=situation.person.id,
        address=situation.message.address,
        kind=DeliveryKind.EXPORT,
        message_id=command_answers.store(situation, Command.EXPORT),
        now=situation.now,
    )
    return Receipt(command=Command.EXPORT, answered_at_once=owed)
