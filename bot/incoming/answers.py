"""Stores a message and queues our own answers to it in the same transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from bot.incoming.receipt import Receipt
from bot.incoming.situation import Situation
from dialogue.core import intake, outbox
from dialogue.states import DeliveryKind

Said = tuple[str, DeliveryKind]
"""Something of our own to say, and how surely it must arrive."""

_BURST = timedelta(seconds=60)


def store(
    situation: Situation,
    text: str | None,
    *,
    conversation_id: UUID | None = None,
    turn_id: UUID | None = None,
    expires_at: datetime | None = None,
) -> UUID:
    """Keep a message, its words or a mark in their place; the model never sees one that joins no turn."""
    return intake.store(
        situation.session,
        situation.person,
        situation.message,
        text=text,
        conversation_id=conversation_id,
        turn_id=turn_id,
        expires_at=expires_at,
        now=situation.now,
    )


def say(
    situation: Situation,
    message_id: UUID,
    words: Sequence[Said],
    *,
    conversation_id: UUID | None = None,
    first_part: int = 0,
) -> UUID | None:
    """Owe our answers to a message, in that order; returns the last of them. `first_part`: behind earlier answers."""
    owed = [
        outbox.owe(
            situation.session,
            situation.person.key,
            person_id=situation.person.id,
            address=situation.message.address,
            text=text,
            kind=kind,
            conversation_id=conversation_id,
            message_id=message_id,
            part=part,
            now=situation.now,
        )
        for part, (text, kind) in enumerate(words, start=first_part)
    ]
    return owed[-1] if owed else None


def notice(situation: Situation, message_id: UUID, text: str, *, conversation_id: UUID | None = None) -> UUID | None:
    """Owe one answer that is no matter of life and death."""
    return say(situation, message_id, [(text, DeliveryKind.NOTICE)], conversation_id=conversation_id)


def refuse(situation: Situation, explanation: str) -> Receipt:
    """It cannot be answered: stored without its text, so that it is refused once only."""
    return Receipt(answered_at_once=notice(situation, store(situation, ""), explanation))


def say_once(situation: Situation, text: str, *, mark: str, within: timedelta = _BURST) -> Receipt:
    """The same answer to several messages in a row is given once; of them only the mark is kept."""
    was_said = intake.is_burst(situation.session, situation.person, mark=mark, within=within, now=situation.now)
    message_id = store(situation, mark)
    return Receipt() if was_said else Receipt(answered_at_once=notice(situation, message_id, text))
