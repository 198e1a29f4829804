"""The inbox: one transaction per message, committed before the message is acknowledged to the platform.

What happens in it is the list in `bot.incoming.decisions`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from bot.admission import URGENT
from bot.executors import Executors, PriorityExecutor
from bot.incoming import decisions, situation, unread_updates
from bot.incoming.consent_terms import Gate
from bot.incoming.limits import UNLIMITED, Limits
from bot.incoming.receipt import Receipt
from bot.incoming.second_reader import SecondReader
from bot.incoming.situation import Aside, Button, Edit, NotText, Rules, Spoken, Text, What
from bot.incoming.urgency import priority_of, read_once
from bot.meters import UNMETERED, BotMeters
from bot.staff.desk import Desk
from care.disclosure import Answer
from care.screening import TextReading
from care.scripts import Voice
from care.texts import Texts
from dialogue.admin import takeover
from dialogue.admin.office import Office
from dialogue.core import budgets, chat_moves, conversations, feedback, intake, media, people, referral
from dialogue.core.people import KnownPerson
from dialogue.core.unparsed import Unparsed
from dialogue.errors import ConversationClosed, Erased
from dialogue.messages import Address, InboundMessage
from dialogue.process.duty_hours import DutyHours
from dialogue.states import ClosedBy
from dialogue.storage.clock import Clock, epoch_ns, utc_now
from dialogue.storage.database import Database
from dialogue.storage.vault import MasterKeys

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def _nothing(_session: Session) -> None:
    """Is committed with most messages."""


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
        office: Office | None = None,
        admins: tuple[Address, ...] = (),
        shows_texts: bool = False,
        duty_hours: DutyHours | None = None,
        is_attended: bool = True,
        max_medium_bytes: int = 0,
        second_reader: SecondReader | None = None,
        executor: PriorityExecutor | None = None,
        spoken: Mapping[str, Spoken] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        office = office or Office(keys=keys, texts=texts, admins=admins)
        self.rules = Rules(
            texts=texts,
            voice=voice,
            gate=gate,
            limits=limits,
            office=office,
            desk=Desk(
                office=office,
                shows_texts=shows_texts,
                max_length=max_message_length,
            ),
            max_message_length=max_message_length,
            duty_hours=duty_hours,
            is_attended=is_attended,
            max_medium_bytes=max_medium_bytes,
            spoken=spoken or {},
        )
        self._second_reader = second_reader
        self._executor = executor or Executors().intake
        self._database = database
        self._meters = meters
        self._clock = clock

    async def receive(self, message: InboundMessage, *, with_it: Callable[[Session], None] = _nothing) -> Receipt:
        """Store a message and ring for it; it is safe when this returns. Raises `DatabaseUnavailable`.

        `with_it` is committed in the same transaction; what it raises, this raises, and nothing is stored.
        """
        return await self._run(partial(self.receive_blocking, message, with_it=with_it), message)

    async def revise(self, message: InboundMessage, *, original_id: str, is_addressed: bool = True) -> Receipt:
        """The person changed an earlier message, which replaces it while it is unanswered.

        Not `is_addressed`: only a message that we have read concerns us.
        """
        decide = self.decide_blocking if is_addressed else self._decide_if_known
        return await self._run(partial(decide, Edit(original_id), message), message)

    async def overhear(self, message: InboundMessage) -> Receipt:
        """Something happened in the chat; what its person named it is screened."""
        return await self._run(partial(self.decide_blocking, Aside(), message), message)

    async def excuse(self, message: InboundMessage) -> Receipt:
        """Something that is no text came: say so, once for several in a row."""
        return await self._run(partial(self.decide_blocking, NotText(), message), message)

    async def choose(self, message: InboundMessage, answer: Answer) -> Receipt:
        """A button under the notice was pressed; `message` has no words. Nothing, if they had agreed already."""
        return await self._run(partial(self.decide_blocking, Button(answer), message), message)

    async def rate(self, channel: str, user_id: str, turn_id: UUID, value: int) -> bool:
        """👍 (1) or 👎 (-1) for a reply; False if it was not that person's."""
        return await self._executor.run(partial(self._rate, channel, user_id, turn_id, value))

    async def recall(self, message: InboundMessage, *, original_id: str) -> None:
        """The person took an earlier message back; `message` has no words."""
        await self._executor.run(partial(self._recall, message, original_id))

    async def renew(self, message: InboundMessage) -> None:
        """The person did something that is no message: what may be sent to them is renewed all the same."""
        await self._executor.run(partial(self._renew, message))

    async def refer(self, message: InboundMessage, *, label: str) -> None:
        """The person came by a link with that label; `message` has no words."""
        await self._executor.run(partial(self._refer, message, label))

    async def set_aside(self, update: Unparsed) -> None:
        """Keep for staff what cannot be parsed, and alert them; safe when this returns. Raises `EnvironmentFault`."""
        await self._executor.run(partial(self._set_aside, update), priority=URGENT)

    async def stop(self, address: Address, turn_id: UUID) -> bool:
        """The person stopped the reply that they were shown; False if there was nothing to stop."""
        return await self._executor.run(partial(self._stop, address, turn_id))

    async def leave(self, address: Address) -> None:
        """The person blocked the bot, or is gone: end their conversation, and send nothing more of it."""
        await self._executor.run(partial(self._leave, address))

    def receive_blocking(
        self,
        message: InboundMessage,
        *,
        reading: TextReading | None = None,
        with_it: Callable[[Session], None] = _nothing,
    ) -> Receipt:
        """The same as `receive`, for callers that have a thread to spend."""
        began_ns = epoch_ns()
        receipt = self.decide_blocking(Text(), message, reading=reading, with_it=with_it)
        self._meters.took_in(
            message.address.channel,
            receipt.turn_id,
            is_new_turn=receipt.is_new_turn,
            began_ns=began_ns,
            ended_ns=epoch_ns(),
        )
        return receipt

    def decide_blocking(
        self,
        what: What,
        message: InboundMessage,
        *,
        reading: TextReading | None = None,
        with_it: Callable[[Session], None] = _nothing,
    ) -> Receipt:
        """One message, in one transaction; raises `DatabaseUnavailable`. `reading`: of its text, if there is one."""
        with self._database.begin(is_hasty=message.is_kept) as session:
            message = _where_its_chat_is_now(session, message)
            loaded = situation.load(session, self.rules, what, message, reading=reading, now=self._clock())
            receipt = replace(decisions.decide(loaded), language=loaded.person.language)
            with_it(session)
        self._count(message, receipt)
        if self._second_reader is not None and isinstance(what, Text):
            self._second_reader.offer(self.rules, message, receipt)
        log.info(
            "message_received",
            channel=message.address.channel,
            conversation_id=str(receipt.conversation_id),
            turn_id=str(receipt.turn_id),
            command=receipt.command.name if receipt.command else None,
            is_repeat=receipt.is_repeat,
        )
        return receipt

    def _decide_if_known(self, what: Edit, message: InboundMessage, *, reading: TextReading | None = None) -> Receipt:
        with self._database.read() as session:
            is_known = intake.is_known(session, message, external_id=what.original_id)
        return self.decide_blocking(what, message, reading=reading) if is_known else Receipt()

    async def _run(self, call: Callable[..., Receipt], message: InboundMessage) -> Receipt:
        """In the order of the danger in the words, which is known before the database is asked."""
        if not self._executor.is_full:
            return await self._executor.run(call)
        reading = read_once(message)
        priority = priority_of(message, reading)
        return await self._executor.run(partial(call, reading=reading), priority=priority)

    def _rate(self, channel: str, user_id: str, turn_id: UUID, value: int) -> bool:
        with self._database.begin() as session:
            return feedback.rate(
                session, channel=channel, user_id=user_id, turn_id=turn_id, value=value, now=self._clock()
            )

    def _recall(self, message: InboundMessage, original_id: str) -> None:
        with self._database.begin() as session:
            person = self._locked(session, message)
            intake.recall(session, person, message, external_id=original_id, now=self._clock())
            media.take_back(session, person, message, external_id=original_id)
        log.info("message_recalled", channel=message.address.channel)

    def _renew(self, message: InboundMessage) -> None:
        with self._database.begin() as session:
            budgets.renew(session, self._locked(session, message).id, message, now=self._clock())

    def _refer(self, message: InboundMessage, label: str) -> None:
        with self._database.begin() as session:
            referral.note_once(session, self._locked(session, message).id, label, now=self._clock())

    def _locked(self, session: Session, message: InboundMessage) -> KnownPerson:
        keys, channel = self.rules.office.keys, message.address.channel
        return people.locked(session, keys, channel=channel, user_id=message.user_id, now=self._clock())

    def _set_aside(self, update: Unparsed) -> None:
        now = self._clock()
        with self._database.begin() as session:
            is_new = unread_updates.keep(session, self.rules.office, update, now=now)
        if is_new:
            self._meters.unparsed.add(channel=update.channel)
        log.error("update_not_parsed", channel=update.channel, update=update.external_id, error=update.error)

    def _stop(self, address: Address, turn_id: UUID) -> bool:
        with self._database.begin() as session:
            return conversations.stop(session, chat_moves.present(session, address), turn_id, now=self._clock())

    def _leave(self, address: Address) -> None:
        now = self._clock()
        with self._database.begin() as session:
            conversation_id = conversations.find_open(session, chat_moves.present(session, address))
            if conversation_id is None:
                return
            try:
                takeover.end(session, self.rules.office, conversation_id, now=now)
            except (ConversationClosed, Erased):  # in the meantime
                return
            conversations.reset(session, conversation_id, by=ClosedBy.CHANNEL, now=now)
        log.info("person_left", channel=address.channel, conversation_id=str(conversation_id))

    def _count(self, message: InboundMessage, receipt: Receipt) -> None:
        self._meters.received.add(channel=message.address.channel, outcome=receipt.outcome)
        if receipt.risk is not None and receipt.risk.tier:
            self._meters.screened.add(tier=str(receipt.risk.tier))
        if receipt.risk is not None and receipt.risk.alarm_tier is not None:
            self._meters.alarms.add(tier=str(receipt.risk.alarm_tier))


def _where_its_chat_is_now(session: Session, message: InboundMessage) -> InboundMessage:
    """What was said in a group before it moved belongs to the conversation that went along."""
    present = chat_moves.present(session, message.address)
    return message if present == message.address else replace(message, address=present)
