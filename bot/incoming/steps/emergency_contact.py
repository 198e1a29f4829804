"""Whom a person wants to be called when they are in danger: shown, kept or removed, in a private chat only."""

from bot.incoming import command_answers
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Outcome, Situation
from dialogue.core import commands
from dialogue.core.commands import Command
from dialogue.rights import emergency_contacts

_MAX_LENGTH = 200


def decide(situation: Situation) -> Outcome:
    if situation.words.command is not Command.CONTACT:
        return situation
    if not situation.message.is_private:
        return _answer(situation, "rights_in_private")
    text = commands.argument(situation.words.own)
    session, person = situation.session, situation.person
    if not text:
        kept = emergency_contacts.shown(session, person)
        return _answer(situation, "command_contact" if kept is None else "rights_contact_shown", text=kept)
    if commands.is_removal(text):
        emergency_contacts.remove(session, person)
        return _answer(situation, "rights_contact_removed")
    if len(text) > _MAX_LENGTH:
        return _answer(situation, "rights_contact_too_long", max_length=_MAX_LENGTH)
    emergency_contacts.give(session, person, text, now=situation.now)
    return command_answers.answer_words(situation, Command.CONTACT, "rights_contact_kept", text)


def _answer(situation: Situation, key: str, *, text: str | None = None, max_length: int | None = None) -> Receipt:
    return command_answers.answer(situation, Command.CONTACT, key, text=text, max_length=max_length)
