"""All other commands, answered without the model: help, privacy, the end of a conversation, consents taken back."""

from dataclasses import replace
from uuid import UUID

from bot.incoming import command_answers, danger, relay
from bot.incoming.situation import Outcome, Situation
from dialogue.core import consent, conversations, visits
from dialogue.core.commands import Command
from dialogue.states import ClosedBy

_EXITS = frozenset({Command.END, Command.RESET, Command.WITHDRAW})


def decide(situation: Situation) -> Outcome:
    command = situation.words.command
    if command is None:
        return situation
    cancelled: list[UUID] = []
    match command:
        case Command.END | Command.RESET:
            cancelled = _end(situation)
        case Command.WITHDRAW:
            cancelled = _withdraw(situation)
            situation = situation.without_conversation()
        case Command.SHARE_YES | Command.SHARE_NO:
            is_allowed = command is Command.SHARE_YES
            consent.share(situation.session, situation.person, is_allowed=is_allowed, now=situation.now)
    state = "yes" if situation.person.training_consented_at else "no"
    receipt = command_answers.answer(
        situation,
        command,
        f"command_{command.name.lower()}",
        before=danger.where_to_turn(situation) if command in _EXITS else None,
        state=situation.rules.texts.say(f"command_share_state_{state}"),
    )
    return replace(receipt, cancelled_turn_ids=cancelled)


def _end(situation: Situation) -> list[UUID]:
    """End the conversation that is open, if one is; returns the turns that were discarded."""
    if situation.conversation is None:
        return []
    relay.tell_of_the_end(situation)
    session, conversation_id = situation.session, situation.conversation.id
    cancelled = conversations.reset(session, conversation_id, by=ClosedBy.PERSON, now=situation.now)
    if cancelled:
        visits.forget_label(session, situation.person.id)
    return cancelled


def _withdraw(situation: Situation) -> list[UUID]:
    """They no longer agree: all their conversations end; returns the turns that were discarded."""
    consent.withdraw(situation.session, situation.person, now=situation.now)
    relay.tell_of_the_end(situation)
    return conversations.reset_all(situation.session, situation.person, by=ClosedBy.PERSON, now=situation.now)
