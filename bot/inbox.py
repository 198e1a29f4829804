"""The way in: one transaction for each message, committed before the platform hears that it was received."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from care.texts import Texts
from dialogue import commands, conversations, outbox, people, turns
from dialogue.clock import Clock, utc_now
from dialogue.commands import Command
from dialogue.database import Database
from dialogue.doorbell import Doorbell
from dialogue.errors import EmptyMessage, MessageTooLong
from dialogue.messages import InboundMessage
from dialogue.signals import Signals
from dialogue.states import ClosedBy, DeliveryKind
from dialogue.tables import Person
from dialogue.vault import MasterKeys
from dialogue.words import clean

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a message: a repeat, a command, a refusal, or words that joined a turn."""

    is_repeat: bool = False
    command: Command | None = None
    conversation_id: UUID | None = None
    turn_id: UUID | None = None
    answered_at_once: UUID | None = None  # the delivery that holds our own answer
    cancelled_turn_ids: list[UUID] = field(default_factory=list)


class Inbox:
    """Receives messages for every channel of this process."""

    def __init__(
        self,
        *,
        database: Database,
        keys: MasterKeys,
        texts: Texts,
        doorbell: Doorbell,
        signals: Signals,
        max_message_length: int,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._keys = keys
        self._texts = texts
        self._doorbell = doorbell
        self._signals = signals
        self._max_message_length = max_message_length
        self._clock = clock

    async def receive(self, message: InboundMessage) -> Receipt:
        """Store a message and ring for it; it is safe when this returns. Raises `DatabaseUnavailable`."""
        return await asyncio.to_thread(self.receive_blocking, message)

    def receive_blocking(self, message: InboundMessage) -> Receipt:
        """The same, for callers that have a thread to spend."""
        with self._database.begin() as session:
            receipt = self._take_in(session, message, self._clock())
        self._announce(message, receipt)
        return receipt

    def _take_in(self, session: Session, message: InboundMessage, now: datetime) -> Receipt:
        person = people.locked(session, self._keys, channel=message.address.channel, user_id=message.user_id, now=now)
        intake = _Intake(session, self._keys, person, message, now)
        try:
            text = clean(message.text, max_length=self._max_message_length)
        except EmptyMessage:
            return intake.refuse(lambda: self._texts.say("error_empty"))
        except MessageTooLong as error:
            too_long = error
            return intake.refuse(
                lambda: self._texts.say("error_too_long", length=too_long.length, max_length=too_long.max_length)
            )
        command = commands.parse(text)
        if command is not None:
            return intake.obey(command, self._texts)
        return intake.hear(text)

    def _announce(self, message: InboundMessage, receipt: Receipt) -> None:
        """After the commit: hints only, the rows are the truth."""
        if receipt.turn_id is not None and receipt.conversation_id is not None:
            self._doorbell.ring([receipt.conversation_id])
        if receipt.answered_at_once is not None:
            self._signals.owe([message.address.channel])
        self._signals.cancel(receipt.cancelled_turn_ids)
        log.info(
            "message_received",
            channel=message.address.channel,
            conversation_id=str(receipt.conversation_id),
            turn_id=str(receipt.turn_id),
            command=receipt.command.name if receipt.command else None,
            is_repeat=receipt.is_repeat,
        )


@dataclass(frozen=True, slots=True)
class _Intake:
    """One message inside its transaction."""

    session: Session
    keys: MasterKeys
    person: Person
    message: InboundMessage
    now: datetime

    def hear(self, text: str) -> Receipt:
        """Words for the model."""
        message_id = self._store(text)
        if message_id is None:
            return Receipt(is_repeat=True)
        received = turns.receive(self.session, self.person, message_id, self.message.address, now=self.now)
        return Receipt(conversation_id=received.conversation_id, turn_id=received.turn_id)

    def refuse(self, explain: Callable[[], str]) -> Receipt:
        """Nothing that can be answered: stored without its text, so that it is refused once only."""
        message_id = self._store("")
        if message_id is None:
            return Receipt(is_repeat=True)
        return Receipt(answered_at_once=self._answer(message_id, explain(), conversation_id=None))

    def obey(self, command: Command, texts: Texts) -> Receipt:
        """A word to the bot itself, answered here and now."""
        message_id = self._store(command.name)
        if message_id is None:
            return Receipt(is_repeat=True, command=command)
        conversation = conversations.find_open(self.session, self.message.address)
        cancelled: list[UUID] = []
        if conversation is not None and command in {Command.END, Command.RESET}:
            cancelled = conversations.reset(self.session, conversation.id, by=ClosedBy.PERSON, now=self.now)
        conversation_id = conversation.id if conversation else None
        answer = texts.say(f"command_{command.name.lower()}")
        return Receipt(
            command=command,
            conversation_id=conversation_id,
            answered_at_once=self._answer(message_id, answer, conversation_id=conversation_id),
            cancelled_turn_ids=cancelled,
        )

    def _store(self, text: str) -> UUID | None:
        return turns.store_message(self.session, self.keys, self.person, self.message, text=text, now=self.now)

    def _answer(self, message_id: UUID, text: str, *, conversation_id: UUID | None) -> UUID:
        return outbox.owe(
            self.session,
            self.keys.person_key(self.person.data_key, self.person.id),
            person_id=self.person.id,
            address=self.message.address,
            text=text,
            kind=DeliveryKind.NOTICE,
            conversation_id=conversation_id,
            message_id=message_id,
            now=self.now,
        )
