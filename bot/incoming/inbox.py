"""The way in: one transaction for each message, committed before the platform hears that it was received."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from bot.executors import Executors, PriorityExecutor
from bot.incoming import visiting
from bot.incoming.consent import Doorstep, Gate
from bot.incoming.limits import UNLIMITED, Limits
from bot.incoming.receipt import Receipt
from bot.incoming.reception import Reception
from bot.incoming.rights import Rights
from bot.incoming.urgency import screen_both_ends
from bot.meters import UNMETERED, BotMeters
from bot.staff.desk import Caller, Desk
from bot.staff.reset_all import Clearing
from care import identity
from care.disclosure import Answer
from care.screening import Tier, screen_safely
from care.scripts import Voice
from care.texts import Texts
from dialogue.admin import takeover
from dialogue.admin.office import Office
from dialogue.core import commands, consent, conversations, feedback, intake, people
from dialogue.core.cleaning import clean
from dialogue.core.commands import Command
from dialogue.errors import ConversationClosed, EmptyMessage, Erased, MessageTooLong
from dialogue.messages import Address, InboundMessage
from dialogue.states import ClosedBy
from dialogue.storage.clock import Clock, epoch_ns, utc_now
from dialogue.storage.database import Database
from dialogue.storage.vault import MasterKeys

_FOR_GUESTS = {Command.START, Command.SHARE, Command.SHARE_YES, Command.CONTACT}
"""Commands of those who agreed; others are shown the notice. 不同意用于改进 is always obeyed."""
_FOR_THOSE_OUTSIDE = {Command.PRIVACY, Command.EXPORT, Command.DELETE, Command.CONFIRM_DELETE, Command.WITHDRAW}
"""What a person may ask for whatever they did: it is their right."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Inbox:
    """Receives messages for every channel of this process."""

    def __init__(
        self,
        *,
        database: Database,
        keys: MasterKeys,
        texts: Texts,
        voice: Voice,
        gate: Gate,
        max_message_length: int,
        limits: Limits = UNLIMITED,
        meters: BotMeters = UNMETERED,
        admins: tuple[Address, ...] = (),
        shows_texts: bool = False,
        executor: PriorityExecutor | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._executor = executor or Executors().intake
        self._database = database
        self._keys = keys
        self._texts = texts
        self._voice = voice
        self.gate = gate
        self._kept_out = texts.say("blocked", **voice.directory.fillings(voice.locale))
        self._rights = Rights(voice, gate)
        self._uninvited = texts.say("uninvited", **voice.directory.fillings(voice.locale))
        self._max_message_length = max_message_length
        self._limits = limits
        self._meters = meters
        self._clock = clock
        self._office = Office(keys=keys, texts=texts, admins=admins)
        self._desk = Desk(
            office=self._office,
            clearing=Clearing(database=database, office=self._office, clock=clock),
            shows_texts=shows_texts,
            max_length=max_message_length,
        )

    async def receive(self, message: InboundMessage) -> Receipt:
        """Store a message and ring for it; it is safe when this returns. Raises `DatabaseUnavailable`."""
        return await self._run(partial(self.receive_blocking, message), message)

    async def revise(self, message: InboundMessage, *, original_id: str) -> Receipt:
        """The person changed an earlier message: new words, unless the old ones were answered already."""
        return await self._run(partial(self._revise, message, original_id), message)

    async def excuse(self, message: InboundMessage) -> Receipt:
        """Something that is no text came: say so, once for several in a row."""
        return await self._run(partial(self._excuse, message), message)

    async def rate(self, channel: str, user_id: str, turn_id: UUID, value: int) -> bool:
        """👍 (1) or 👎 (-1) for a reply; False if it was not that person's."""
        return await self._executor.run(partial(self._rate, channel, user_id, turn_id, value))

    async def choose(self, message: InboundMessage, answer: Answer) -> Receipt:
        """A button under the notice was pressed; `message` has no words. Nothing, if they had agreed already."""
        return await self._run(partial(self._choose, message, answer), message)

    async def leave(self, address: Address) -> None:
        """The person blocked the bot, or is gone: end their conversation, and send nothing more of it."""
        await self._executor.run(partial(self._leave, address))

    async def _run(self, call: Callable[[], Receipt], message: InboundMessage) -> Receipt:
        """In the order of the danger in the words, which is known before the database is asked."""
        is_ordered = self._executor.is_full
        priority = screen_both_ends(message.text, self._max_message_length).tier if is_ordered else Tier.NONE
        return await self._executor.run(call, priority=priority)

    def receive_blocking(self, message: InboundMessage) -> Receipt:
        """The same, for callers that have a thread to spend."""
        began_ns = epoch_ns()
        with self._database.begin() as session:
            receipt = self._take_in(session, message, self._clock())
        self._meters.took_in(
            message.address.channel,
            receipt.turn_id,
            is_new_turn=receipt.is_new_turn,
            began_ns=began_ns,
            ended_ns=epoch_ns(),
        )
        self._note(message, receipt)
        return receipt

    def _revise(self, message: InboundMessage, original_id: str) -> Receipt:
        now = self._clock()
        with self._database.begin() as session:
            people.locked(session, self._keys, channel=message.address.channel, user_id=message.user_id, now=now)
            if intake.is_settled(session, message, external_id=original_id):
                return Receipt()
            receipt = self._take_in(session, message, now)
        self._note(message, receipt)
        return receipt

    def _excuse(self, message: InboundMessage) -> Receipt:
        now = self._clock()
        with self._database.begin() as session:
            person = people.locked(
                session, self._keys, channel=message.address.channel, user_id=message.user_id, now=now
            )
            if intake.is_repeat(session, message):
                return Receipt(is_repeat=True)
            reception = Reception(session, person, message, now, self._office)
            receipt = self._excuse_or_keep_out(reception)
        self._note(message, receipt)
        return receipt

    def _choose(self, message: InboundMessage, answer: Answer) -> Receipt:
        now = self._clock()
        with self._database.begin() as session:
            person = people.locked(
                session, self._keys, channel=message.address.channel, user_id=message.user_id, now=now
            )
            if self.gate.is_open(person) or intake.is_repeat(session, message):
                return Receipt(is_repeat=True)
            reception = Reception(session, person, message, now, self._office)
            is_out = self._is_kept_out(reception)
            receipt = self._keep_out(reception) if is_out else self._at_the_door(reception).answer(answer)
        self._note(message, receipt)
        return receipt

    def _rate(self, channel: str, user_id: str, turn_id: UUID, value: int) -> bool:
        with self._database.begin() as session:
            return feedback.rate(
                session, channel=channel, user_id=user_id, turn_id=turn_id, value=value, now=self._clock()
            )

    def _leave(self, address: Address) -> None:
        now = self._clock()
        with self._database.begin() as session:
            conversation_id = conversations.find_open(session, address)
            if conversation_id is None:
                return
            try:
                takeover.end(session, self._office, conversation_id, now=now)
            except (ConversationClosed, Erased):  # in the meantime
                return
            conversations.reset(session, conversation_id, by=ClosedBy.CHANNEL, now=now)
        log.info("person_left", channel=address.channel, conversation_id=str(conversation_id))

    def _take_in(self, session: Session, message: InboundMessage, now: datetime) -> Receipt:
        person = people.locked(session, self._keys, channel=message.address.channel, user_id=message.user_id, now=now)
        if intake.is_repeat(session, message):
            return Receipt(is_repeat=True)
        reception = Reception(session, person, message, now, self._office)
        return self._meet(reception)

    def _meet(self, reception: Reception) -> Receipt:
        """The doors, in their order."""
        message = reception.message
        if self._is_kept_out(reception) and commands.parse(message.text) not in _FOR_THOSE_OUTSIDE:
            return self._keep_out(reception)
        try:
            text = clean(message.text, max_length=self._max_message_length)
        except EmptyMessage:
            return reception.refuse(self._texts.say("error_empty"))
        except MessageTooLong as error:
            return self._refuse_long(reception, error)
        command = commands.parse(text)
        if self._desk.serves(message) and (done := self._at_the_desk(reception, command, text)) is not None:
            return reception.report(done)
        if command is not None:
            reception.note_source(text)
            return self._obey(reception, command, text)
        return self._take_words(reception, text)

    def _at_the_desk(self, reception: Reception, command: Command | None, text: str) -> str | None:
        """What an admin's words led to; None for words like anybody's."""
        message = reception.message
        caller = Caller(reception.session, reception.person.id, message.address, reception.now)
        done = self._desk.hear_answer(caller, message.reply_to_id, text)
        if done is None and command in {None, Command.UNKNOWN}:
            done = self._desk.hear(caller, text)
        return done

    def _obey(self, reception: Reception, command: Command, text: str) -> Receipt:
        session, person, now = reception.session, reception.person, reception.now
        if not self.gate.is_open(person) and command in _FOR_GUESTS:
            return self._at_the_door(reception).ask(None, is_greeting=True)
        if command in Rights.COMMANDS:
            return self._rights.obey(reception, command, text)
        cancelled: list[UUID] = []
        match command:
            case Command.WITHDRAW:
                consent.withdraw(session, person, now=now)
                reception.tell_holder()
                cancelled = conversations.reset_all(session, person, by=ClosedBy.PERSON, now=now)
            case Command.SHARE_YES | Command.SHARE_NO:
                consent.share(session, person, is_allowed=command is Command.SHARE_YES, now=now)
        state = "yes" if person.training_consented_at else "no"
        fillings = {**self.gate.fillings, "state": self._texts.say(f"command_share_state_{state}")}
        receipt = reception.obey(command, self._texts.say(f"command_{command.name.lower()}", **fillings))
        return replace(receipt, cancelled_turn_ids=[*cancelled, *receipt.cancelled_turn_ids])

    def _is_kept_out(self, reception: Reception) -> bool:
        message = reception.message
        return reception.person.blocked_at is not None or not self._limits.invites(
            message.address.channel, message.user_id
        )

    def _keep_out(self, reception: Reception) -> Receipt:
        words = self._uninvited if reception.person.blocked_at is None else self._kept_out
        screening = screen_both_ends(reception.message.text, self._max_message_length)
        return reception.keep_out(words, screening, self._voice)

    def _excuse_or_keep_out(self, reception: Reception) -> Receipt:
        if self._is_kept_out(reception):
            return self._keep_out(reception)
        if not self.gate.is_open(reception.person):
            return self._at_the_door(reception).ask(None)
        return reception.excuse(self._texts.say("error_not_text"))

    def _take_words(self, reception: Reception, text: str) -> Receipt:
        screening = screen_safely(text)
        question = identity.asked(text)
        truth = identity.answer(question.question, self._texts) if question else None
        if not self.gate.is_open(reception.person):
            return self._at_the_door(reception).meet(text, screening, truth=truth)
        if question is not None and reception.is_held_by_a_human():
            question = truth = None
        if (
            question is not None
            and truth is not None
            and question.is_whole_message
            and screening.tier is Tier.NONE
            and reception.danger_tier() is not Tier.ACUTE
        ):
            return reception.say_the_truth(text, truth)
        limit = self._limits.exceeded(reception.message.address.channel, reception.person.heard)
        if limit is not None and not reception.passes_limits(screening):
            return reception.rest(self._texts.say(limit))
        return visiting.hear(reception, self.gate, self._voice, text, screening, preface=truth)

    def _at_the_door(self, reception: Reception) -> Doorstep:
        return Doorstep(reception, self.gate, self._voice)

    def _refuse_long(self, reception: Reception, error: MessageTooLong) -> Receipt:
        """Its beginning and its end are screened all the same: danger is answered at any length."""
        explanation = self._texts.say("error_too_long", length=error.length, max_length=error.max_length)
        screening = screen_both_ends(reception.message.text, self._max_message_length)
        if screening.tier < Tier.ACTIVE:
            return reception.refuse(explanation)
        return reception.refuse_but_stay(explanation, screening, self._voice)

    def _note(self, message: InboundMessage, receipt: Receipt) -> None:
        """After the commit."""
        self._count(message, receipt)
        log.info(
            "message_received",
            channel=message.address.channel,
            conversation_id=str(receipt.conversation_id),
            turn_id=str(receipt.turn_id),
            command=receipt.command.name if receipt.command else None,
            is_repeat=receipt.is_repeat,
        )

    def _count(self, message: InboundMessage, receipt: Receipt) -> None:
        self._meters.received.add(channel=message.address.channel, outcome=receipt.outcome)
        if receipt.risk is not None and receipt.risk.tier:
            self._meters.screened.add(tier=str(receipt.risk.tier))
        if receipt.risk is not None and receipt.risk.alarm_tier is not None:
            self._meters.alarms.add(tier=str(receipt.risk.alarm_tier))
