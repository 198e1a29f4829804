"""Answers to commands, which are stored by name: what stood behind one is kept where it belongs, and nowhere else."""

from dataclasses import replace
from uuid import UUID

from bot.incoming import answers, danger
from bot.incoming.receipt import Receipt
from bot.incoming.situation import Situation
from care.screening import Tier, screen_safely
from dialogue.core.commands import Command
from dialogue.states import DeliveryKind


def say(situation: Situation, key: str, **values: object) -> str:
    """A text of the locale, with the gate's fillings."""
    return situation.rules.texts.say(key, **{**situation.rules.gate.fillings, **values})


def store(situation: Situation, command: Command, conversation_id: UUID | None = None) -> UUID:
    """The message, as its command's name."""
    return answers.store(situation, command.name, conversation_id=conversation_id)


def answer(situation: Situation, command: Command, key: str, *, before: str | None = None, **values: object) -> Receipt:
    """Answer a command here and now, in the conversation that is open. `before`: words to somebody in danger."""
    conversation_id = situation.conversation.id if situation.conversation else None
    message_id = store(situation, command, conversation_id)
    words = say(situation, key, **values)
    kind = DeliveryKind.NOTICE if before is None else DeliveryKind.CRISIS
    said = [(text, kind) for text in (before, words) if text is not None]
    return Receipt(
        command=command,
        conversation_id=conversation_id,
        answered_at_once=answers.say(situation, message_id, said, conversation_id=conversation_id),
    )


def answer_words(situation: Situation, command: Command, key: str, text: str) -> Receipt:
    """What came with a command are words like others: danger in them is answered too."""
    screening = screen_safely(text)
    if screening.tier < Tier.ACTIVE:
        return answer(situation, command, key)
    receipt = danger.answer_what_is_refused(situation, screening, explanation=say(situation, key))
    return replace(receipt, command=command)
