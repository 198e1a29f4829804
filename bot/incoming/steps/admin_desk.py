"""An admin's order, or their answer to a relayed message: carried out, and the admin's own words are not kept."""

from bot.incoming import answers
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from bot.staff.desk import Caller
from dialogue.core.commands import Command


def decide(situation: Situation) -> Outcome:
    if not situation.rules.desk.serves(situation.message):
        return situation
    told = _at_the_desk(situation)
    if told is None:  # an admin may talk with the bot as anyone does
        return situation
    message_id = answers.store(situation, Command.ADMIN.name)
    return Receipt(command=Command.ADMIN, answered_at_once=answers.notice(situation, message_id, told))


def _at_the_desk(situation: Situation) -> str | None:
    message, words, desk = situation.message, situation.words, situation.rules.desk
    caller = Caller(situation.session, message.address, situation.now)
    told = desk.answer_relayed(caller, message.reply_to_id, words.own)
    if told is None and words.command in {None, Command.UNKNOWN}:
        return desk.obey(caller, words.own)
    return told
