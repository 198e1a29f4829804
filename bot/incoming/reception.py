"""One message inside its transaction: what is stored, what is said at once, what the model is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from bot.incoming.receipt import Receipt, Risk, risk_of
from care.course import Assessment, assess
from care.screening import Screening, Tier
from care.scripts import Says, Voice
from dialogue.admin import alerts, takeover
from dialogue.admin.office import Office
from dialogue.core import commands, conversations, intake, outbox, visits
from dialogue.core import danger_course as danger
from dialogue.core import referral as sources
from dialogue.core.commands import Command
from dialogue.core.conversations import OpenConversation
from dialogue.core.people import KnownPerson
from dialogue.messages import InboundMessage
from dialogue.states import ClosedBy, DeliveryKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_ENDING = {Command.END, Command.RESET}
_NOT_TEXT = "\N{OBJECT REPLACEMENT CHARACTER}"
_NOT_NOW = "\N{REPLACEMENT CHARACTER}"
_KEPT_OUT = "\N{NO ENTRY}"
_A_DAY = timedelta(days=1)

Words = tuple[str, DeliveryKind]
"""Something of our own to say, and how surely it must arrive."""


@dataclass(frozen=True, slots=True)
class Reception:
    """One message inside its transaction."""

    session: Session
    person: KnownPerson
    message: InboundMessage
    now: datetime
    office: Office

    def hear(
        self,
        text: str,
        screening: Screening,
        voice: Voice,
        *,
        preface: str | None = None,
        due: Sequence[str] = (),
        label: str | None = None,
    ) -> Receipt:
        """Words for the model, unless the person is in acute danger; what must be said is owed in the same breath.

        `preface` is something of our own to say before anything else; `due` is, too, but is left out while the person
        is in danger. `label` is put under the model's reply.
        """
        held = conversations.opened_at(self.session, self.person, self.message.address, now=self.now)
        if held.holder is not None:
            return self._relay(held, text, screening, voice)
        conversation_id = held.id
        assessment = self.take_into_course(conversation_id, screening, voice)
        risk = risk_of(screening, assessment)
        at_once = [(script.text, DeliveryKind.CRISIS) for script in assessment.scripts if script.says is not Says.AFTER]
        if assessment.course.tier < Tier.ACTIVE:
            at_once[:0] = [(text, DeliveryKind.NOTICE) for text in due]
        if preface is not None:
            at_once.insert(0, (preface, DeliveryKind.CRISIS))
        if assessment.bypasses_model:
            return self._stay_without_the_model(conversation_id, text, at_once, risk)
        afterwards = [script.text for script in assessment.scripts if script.says is Says.AFTER]
        received = intake.append_to_turn(
            self.session,
            self.person,
            self.message,
            conversation_id,
            text=text,
            postscript="\n\n".join([*([label] if label else []), *afterwards]) or None,
            now=self.now,
        )
        return Receipt(
            conversation_id=conversation_id,
            turn_id=received.turn_id,
            is_new_turn=received.is_new_turn,
            answered_at_once=self.say(received.message_id, at_once, conversation_id),
            risk=risk,
        )

    def is_held_by_a_human(self) -> bool:
        """Whether an admin answers here now."""
        held = conversations.open_at(self.session, self.message.address)
        return held is not None and held.holder is not None

    def tell_human(self, text: str) -> None:
        """Pass on what somebody said before the admin who answers here could hear it."""
        held = conversations.open_at(self.session, self.message.address)
        if held is not None and text:
            self._pass_on(held, text)

    def passes_limits(self, screening: Screening) -> bool:
        """Whether this message is heard however much was said: there is danger, or a human answers here."""
        return max(screening.tier, self.danger_tier()) >= Tier.ACTIVE or self.is_held_by_a_human()

    def tell_holder(self) -> None:
        """The person is about to end the conversation: an admin who answers in it hears of it."""
        held = conversations.open_at(self.session, self.message.address)
        if held is not None and held.holder is not None:
            takeover.end(self.session, self.office, held.id, now=self.now)

    def _relay(self, held: OpenConversation, text: str, screening: Screening, voice: Voice) -> Receipt:
        """A human answers; of our own words only those to danger that was told just now are said beside theirs."""
        assessment = self.take_into_course(held.id, screening, voice)
        is_danger = screening.tier >= Tier.ACTIVE
        words = [
            (script.text, DeliveryKind.CRISIS)
            for script in assessment.scripts
            if is_danger and script.says is not Says.AFTER
        ]
        message_id = self._store(text, held.id)
        self._pass_on(held, text, tier=int(assessment.course.tier) if is_danger else 0)
        return Receipt(
            conversation_id=held.id,
            answered_at_once=self.say(message_id, words, held.id),
            risk=risk_of(screening, assessment),
        )

    def _pass_on(self, held: OpenConversation, text: str, *, tier: int = 0) -> None:
        if held.relay_to is not None:
            place = takeover.Held(
                id=held.id,
                person_id=self.person.id,
                address=self.message.address,
                holder=held.holder,
                relay_to=held.relay_to,
                key=self.person.key,
            )
            takeover.relay(self.session, self.office, place, text, to=held.relay_to, tier=tier, now=self.now)

    def conversation(self) -> UUID:
        """The conversation that is open here, or a new one."""
        return conversations.open_for(self.session, self.person, self.message.address, now=self.now)

    def begin_afresh(self) -> list[UUID]:
        """End the conversation that is open here, unless it is one of danger, or a human's; returns turns to cancel."""
        held = conversations.open_at(self.session, self.message.address)
        if held is None or held.holder is not None or self.danger_tier() >= Tier.ACTIVE:
            return []
        return conversations.reset(self.session, held.id, by=ClosedBy.PAUSE, now=self.now)

    def rest(self, words: str) -> Receipt:
        """Not now: said once for several messages in a row, whose words are not kept."""
        is_burst = intake.is_burst(self.session, self.person, mark=_NOT_NOW, now=self.now)
        message_id = intake.store(self.session, self.person, self.message, text=_NOT_NOW, now=self.now)
        if is_burst:
            return Receipt()
        return Receipt(answered_at_once=self._answer(message_id, words, conversation_id=None))

    def danger_tier(self) -> Tier:
        """How much danger there is in the conversation that is open here."""
        conversation_id = conversations.find_open(self.session, self.message.address)
        if conversation_id is None:
            return Tier.NONE
        return danger.course_of(self.session, self.person, conversation_id).tier

    def say_the_truth(self, text: str, truth: str) -> Receipt:
        """A question about who answers here needs no model."""
        conversation_id = conversations.open_for(self.session, self.person, self.message.address, now=self.now)
        message_id = self._store(text, conversation_id)
        answer = self._answer(message_id, truth, conversation_id=conversation_id)
        return Receipt(conversation_id=conversation_id, answered_at_once=answer)

    def take_into_course(self, conversation_id: UUID, screening: Screening, voice: Voice) -> Assessment:
        course = danger.course_of(self.session, self.person, conversation_id)
        assessment = assess(course, screening, self.now, voice)
        if assessment.course.tier or course.tier:
            danger.keep(self.session, self.person, conversation_id, assessment.course)
        if assessment.raises_alarm:
            assessment = replace(assessment, raises_alarm=self._alarm(conversation_id, assessment))
        if screening.tier or screening.failures:
            log.warning(
                "risk_screened",
                conversation_id=str(conversation_id),
                tier=int(screening.tier),
                raises_alarm=assessment.raises_alarm,
                failures=screening.failures,
            )
        return assessment

    def _alarm(self, conversation_id: UUID, assessment: Assessment) -> bool:
        """Whether this was news."""
        tier = int(assessment.course.tier)
        return alerts.alarm(
            self.session, self.office, conversation_id, tier=tier, is_urgent=assessment.is_urgent, now=self.now
        )

    def _stay_without_the_model(self, conversation_id: UUID, text: str, words: Sequence[Words], risk: Risk) -> Receipt:
        """What the model was about to say to earlier words is taken back; ours are all that is said."""
        cancelled = conversations.silence(self.session, conversation_id, now=self.now)
        message_id = self._store(text, conversation_id)
        return Receipt(
            conversation_id=conversation_id,
            answered_at_once=self.say(message_id, words, conversation_id),
            cancelled_turn_ids=cancelled,
            risk=risk,
        )

    def _store(self, text: str, conversation_id: UUID) -> UUID:
        return intake.store(
            self.session, self.person, self.message, text=text, conversation_id=conversation_id, now=self.now
        )

    def say(self, message_id: UUID, words: Sequence[Words], conversation_id: UUID | None) -> UUID | None:
        """Owe words of our own in answer to a message, in that order; returns the last of them."""
        owed = [
            self._answer(message_id, text, conversation_id=conversation_id, kind=kind, part=part)
            for part, (text, kind) in enumerate(words)
        ]
        return owed[-1] if owed else None

    def refuse(self, explanation: str) -> Receipt:
        """Nothing that can be answered: stored without its text, so that it is refused once only."""
        message_id = intake.store(self.session, self.person, self.message, text="", now=self.now)
        return Receipt(answered_at_once=self._answer(message_id, explanation, conversation_id=None))

    def refuse_but_stay(self, explanation: str | None, screening: Screening, voice: Voice) -> Receipt:
        """What was refused told of danger."""
        conversation_id = conversations.open_for(self.session, self.person, self.message.address, now=self.now)
        assessment = self.take_into_course(conversation_id, screening, voice)
        words = [script.text for script in assessment.scripts]
        if explanation is not None:
            words.append(explanation)
        at_once = [(text, DeliveryKind.CRISIS) for text in words]
        return self._stay_without_the_model(conversation_id, "", at_once, risk_of(screening, assessment))

    def keep_out(self, explanation: str, screening: Screening, voice: Voice) -> Receipt:
        """Somebody who is blocked: danger is answered all the same; else they are told so, once a day at most."""
        if screening.tier >= Tier.ACTIVE or self.danger_tier() is Tier.ACUTE:
            return self.refuse_but_stay(None, screening, voice)
        is_told = intake.is_burst(self.session, self.person, mark=_KEPT_OUT, within=_A_DAY, now=self.now)
        message_id = intake.store(self.session, self.person, self.message, text=_KEPT_OUT, now=self.now)
        if is_told:
            return Receipt()
        return Receipt(answered_at_once=self._answer(message_id, explanation, conversation_id=None))

    def report(self, done: str) -> Receipt:
        """What an admin ordered was done; their own words are not kept."""
        message_id = intake.store(self.session, self.person, self.message, text=Command.ADMIN.name, now=self.now)
        return Receipt(
            command=Command.ADMIN,
            answered_at_once=self._answer(message_id, done, conversation_id=None),
        )

    def excuse(self, explanation: str) -> Receipt:
        """What cannot be read is stored as a mark only."""
        held = conversations.open_at(self.session, self.message.address)
        if held is not None and held.holder is not None:
            self._pass_on(held, self.office.texts.say("takeover_not_text"))
        is_burst = intake.is_burst(self.session, self.person, mark=_NOT_TEXT, now=self.now)
        message_id = intake.store(self.session, self.person, self.message, text=_NOT_TEXT, now=self.now)
        if is_burst:
            return Receipt()
        return Receipt(answered_at_once=self._answer(message_id, explanation, conversation_id=None))

    def note_source(self, text: str) -> None:
        """The label of the link that brought the person, if this is one."""
        label = commands.source_label(text)
        if label is not None:
            sources.note(self.session, self.person.id, label, now=self.now)

    def obey(self, command: Command, answer: str) -> Receipt:
        """A word to the bot itself, answered here and now."""
        conversation_id = conversations.find_open(self.session, self.message.address)
        message_id = intake.store(
            self.session,
            self.person,
            self.message,
            text=command.name,
            conversation_id=conversation_id,
            now=self.now,
        )
        cancelled: list[UUID] = []
        if conversation_id is not None and command in _ENDING:
            self.tell_holder()
            cancelled = conversations.reset(self.session, conversation_id, by=ClosedBy.PERSON, now=self.now)
        if cancelled:
            visits.forget_label(self.session, self.person.id)
        return Receipt(
            command=command,
            conversation_id=conversation_id,
            answered_at_once=self._answer(message_id, answer, conversation_id=conversation_id),
            cancelled_turn_ids=cancelled,
        )

    def _answer(
        self,
        message_id: UUID,
        text: str,
        *,
        conversation_id: UUID | None,
        kind: DeliveryKind = DeliveryKind.NOTICE,
        part: int = 0,
    ) -> UUID:
        return outbox.owe(
            self.session,
            self.person.key,
            person_id=self.person.id,
            address=self.message.address,
            text=text,
            kind=kind,
            conversation_id=conversation_id,
            message_id=message_id,
            part=part,
            now=self.now,
        )
