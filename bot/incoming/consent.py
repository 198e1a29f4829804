"""Who may come in: before somebody agreed to the notice, nothing of theirs is kept but what is needed to ask.

Their words wait, sealed, for a day. Danger is answered all the same, by us, and leaves its course and an alarm behind:
to protect a life no consent is needed.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

import structlog

from bot.incoming.receipt import Receipt, risk_of
from bot.incoming.reception import Reception
from care.age import ADULT, YOUNGEST_SERVED, AgeBand, band_of, youngest
from care.disclosure import Answer, Notice, answer, notice, sounds_like_yes
from care.hotlines import Directory
from care.screening import Screening, Tier, screen_safely
from care.scripts import Says, Voice
from care.texts import Texts
from care.visit import MINORS_REST
from dialogue.core import consent, intake
from dialogue.core.consent import HeldWords
from dialogue.core.people import KnownPerson
from dialogue.process.settings import DialogueSettings
from dialogue.states import DeliveryKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_PATIENCE = timedelta(seconds=60)  # who goes on writing is not asked after every sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What the operator asks of those who write, and the words for it."""

    notice: Notice
    texts: Texts
    is_required: bool
    serves_children: bool
    is_labelling: bool
    fillings: dict[str, object] = field(repr=False)

    def is_open(self, person: KnownPerson) -> bool:
        """Whether that person's words may be kept and given to the model."""
        if person.declined_at is not None or self.turns_away(person.age_band):
            return False
        return not self.is_required or person.consent_version == self.notice.version

    def turns_away(self, band: AgeBand | None) -> bool:
        """Whether people of that age are told where to find help, and no more."""
        return band is AgeBand.CHILD and not self.serves_children

    def was_shown_to(self, person: KnownPerson) -> bool:
        return person.asked_version == self.notice.version

    def say(self, key: str) -> str:
        return self.texts.say(key, **self.fillings)


def gate(
    texts: Texts,
    directory: Directory,
    *,
    retention_days: int,
    is_required: bool,
    serves_children: bool,
    is_labelling: bool,
) -> Gate:
    """The gate of one process; the notice is drawn up once."""
    return Gate(
        notice=notice(texts, directory, retention_days=retention_days, has_guardian_consent=serves_children),
        texts=texts,
        is_required=is_required,
        serves_children=serves_children,
        is_labelling=is_labelling,
        fillings={
            "retention_days": retention_days,
            "minimum_age": YOUNGEST_SERVED,
            "adult_age": ADULT,
            "minutes": int(MINORS_REST.total_seconds() // 60),
            **directory.fillings(texts.locale),
        },
    )


def warn_if_nobody_is_asked(settings: DialogueSettings) -> None:
    """At every start of a channel: a setting meant for pilots must not be forgotten."""
    if settings.consent == "off":
        log.warning("consent_is_off", hint="MINDGLM_CONSENT=off: nobody is asked before their words are kept")


@dataclass(frozen=True, slots=True)
class Doorstep:
    """One message of somebody to whom the gate is not open."""

    reception: Reception
    gate: Gate
    voice: Voice

    def meet(self, text: str, screening: Screening, *, truth: str | None = None) -> Receipt:
        """Danger first, then an answer to the notice, then the question. `truth` says who answers here."""
        if screening.tier < Tier.ACTIVE and (answered := answer(text)) is not None:
            return self.answer(answered)
        if screening.tier >= Tier.ACTIVE or self.reception.danger_tier() >= Tier.ACTIVE:
            if self.reception.is_held_by_a_human():  # who came to help must hear them
                return self.reception.hear(text, screening, self.voice)
            said = self._stay(text, screening)
            if said is not None:
                return said
        return self.ask(text, truth=truth)

    def ask(self, text: str | None, *, truth: str | None = None, is_greeting: bool = False) -> Receipt:
        """Keep the words for a while, and ask; `is_greeting` shows the whole notice whatever was shown before."""
        message_id, conversation_id = self._hold(text)
        question = self._question(text, is_greeting=is_greeting)
        if question is None:
            return Receipt(conversation_id=conversation_id)
        person, version = self.reception.person, self.gate.notice.version
        shown = version if self.gate.notice.text in question else person.asked_version
        consent.ask(self.reception.session, person, version=shown, now=self.reception.now)
        is_turned_away = self.gate.turns_away(person.age_band)
        words = [(question, DeliveryKind.NOTICE if is_turned_away else DeliveryKind.CONSENT)]
        if truth is not None:
            words.insert(0, (truth, DeliveryKind.NOTICE))
        return self._say(message_id, conversation_id, words)

    def answer(self, answered: Answer) -> Receipt:
        """Yes, no, or an age; a yes to a notice that they have not seen is answered by the notice."""
        person = self.reception.person
        band = answered.band or person.age_band
        if answered.agrees is False:
            return self._decline()
        if self.gate.turns_away(band):
            return self.turn_away()
        if answered.agrees and (self.gate.was_shown_to(person) or not self.gate.is_required):
            return self._let_in(answered.band)
        if answered.band is not None:
            consent.note_band(self.reception.session, person, answered.band)
        return self.ask(None)

    def turn_away(self) -> Receipt:
        """They are too young: where to find help, and nothing is kept."""
        session, person = self.reception.session, self.reception.person
        consent.note_band(session, person, AgeBand.CHILD)
        consent.forget_held(session, person)
        return self._reply("disclosure_too_young")

    def _stay(self, text: str, screening: Screening) -> Receipt | None:
        """Our own words to somebody in danger; None where there are none to say to this message."""
        conversation_id = self.reception.conversation()
        assessment = self.reception.take_into_course(conversation_id, screening, self.voice)
        words = [(script.text, DeliveryKind.CRISIS) for script in assessment.scripts if script.says is not Says.AFTER]
        if not words:
            return None
        message_id, conversation_id = self._hold(text)
        return replace(self._say(message_id, conversation_id, words), risk=risk_of(screening, assessment))

    def _question(self, text: str | None, *, is_greeting: bool) -> str | None:
        """What is asked now, if anything is."""
        person, now = self.reception.person, self.reception.now
        if is_greeting and not self.gate.turns_away(person.age_band):
            return self.gate.notice.text
        was_asked = self.gate.was_shown_to(person) or person.declined_at is not None
        since = now - person.asked_at if was_asked and person.asked_at is not None else consent.HOLD
        if since < _PATIENCE and text is not None and not sounds_like_yes(text):
            return None
        return self._next_question(person, since)

    def _next_question(self, person: KnownPerson, since: timedelta) -> str:
        """`since` is how long ago they were asked last."""
        if self.gate.turns_away(person.age_band):
            return self.gate.say("disclosure_too_young")
        if person.declined_at is not None:
            return self.gate.say("disclosure_declined_before")
        if self.gate.was_shown_to(person) and since < consent.HOLD:
            return self.gate.say("disclosure_ask_again")
        if person.consent_version is not None:
            return f"{self.gate.say('disclosure_changed')}\n\n{self.gate.notice.text}"
        return self.gate.notice.text

    def _hold(self, text: str | None) -> tuple[UUID, UUID]:
        """The message and its conversation. Words of people who said no, or are too young, are not kept at all."""
        reception, person = self.reception, self.reception.person
        is_kept = text is not None and person.declined_at is None and not self.gate.turns_away(person.age_band)
        conversation_id = reception.conversation()
        message_id = intake.store(
            reception.session,
            person,
            reception.message,
            text=text if is_kept else None,
            conversation_id=conversation_id,
            expires_at=reception.now + consent.HOLD if is_kept else None,
            now=reception.now,
        )
        return message_id, conversation_id

    def _decline(self) -> Receipt:
        consent.decline(self.reception.session, self.reception.person, now=self.reception.now)
        return self._reply("disclosure_declined")

    def _reply(self, key: str) -> Receipt:
        message_id, conversation_id = self._hold(None)
        return self._say(message_id, conversation_id, [(self.gate.say(key), DeliveryKind.NOTICE)])

    def _let_in(self, told: AgeBand | None) -> Receipt:
        """They agreed: what they said before is answered now, in order."""
        session, person, now = self.reception.session, self.reception.person, self.reception.now
        held = consent.held(session, person, now=now)
        screenings = {words.message_id: screen_safely(words.text) for words in held}
        band = told or youngest([person.age_band, *(_stated(screening) for screening in screenings.values())])
        if self.gate.turns_away(band):
            return self.turn_away()
        consent.agree(session, person, version=self.gate.notice.version, band=band or AgeBand.ADULT, now=now)
        message_id, conversation_id = self._hold(None)
        here = [words for words in held if words.conversation_id == conversation_id]
        self._release_elsewhere([words for words in held if words.conversation_id != conversation_id])
        turn_id, scripts = self._release(conversation_id, here, [screenings[words.message_id] for words in here])
        said = [self.gate.say("disclosure_agreed_held" if turn_id else "disclosure_agreed")]
        if band in {AgeBand.MINOR, AgeBand.CHILD}:
            said.append(self.gate.say("disclosure_minor"))
        kind = DeliveryKind.CRISIS if scripts else DeliveryKind.NOTICE  # of one kind, or the scripts would go first
        return self._say(message_id, conversation_id, [(words, kind) for words in [*said, *scripts]], turn_id=turn_id)

    def _release(
        self, conversation_id: UUID, held: Sequence[HeldWords], screenings: Sequence[Screening]
    ) -> tuple[UUID | None, list[str]]:
        """The turn that now waits, and what we say ourselves at once. Danger was answered when it was heard."""
        reception = self.reception
        if reception.is_held_by_a_human():
            consent.keep(reception.session, [words.message_id for words in held])
            reception.tell_human("\n".join(words.text for words in held))
            return None, []
        if reception.danger_tier() is Tier.ACUTE:
            consent.keep(reception.session, [words.message_id for words in held])
            assessment = reception.take_into_course(conversation_id, screen_safely(""), self.voice)
            return None, [script.text for script in assessment.scripts]
        if not held:
            return None, []
        afterwards: list[str] = []
        worst = max(screenings, key=lambda screening: screening.tier)
        if worst.tier is Tier.DISTRESS:
            assessment = reception.take_into_course(conversation_id, worst, self.voice)
            afterwards = [script.text for script in assessment.scripts]
        turn_id = intake.release(
            reception.session,
            reception.person,
            conversation_id,
            [words.message_id for words in held],
            postscript="\n\n".join(afterwards) or None,
            now=reception.now,
        )
        return turn_id, []

    def _release_elsewhere(self, held: Sequence[HeldWords]) -> None:
        """Of the same person in other chats."""
        places: dict[UUID, list[UUID]] = defaultdict(list)
        for words in held:
            places[words.conversation_id].append(words.message_id)
        for conversation_id, message_ids in places.items():
            reception = self.reception
            intake.release(reception.session, reception.person, conversation_id, message_ids, now=reception.now)

    def _say(
        self,
        message_id: UUID,
        conversation_id: UUID,
        words: Sequence[tuple[str, DeliveryKind]],
        *,
        turn_id: UUID | None = None,
    ) -> Receipt:
        return Receipt(
            conversation_id=conversation_id,
            turn_id=turn_id,
            answered_at_once=self.reception.say(message_id, words, conversation_id),
        )


def _stated(screening: Screening) -> AgeBand | None:
    return band_of(screening.age) if screening.age is not None else None
