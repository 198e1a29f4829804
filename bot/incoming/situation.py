"""The state that the steps work on: loaded once per message, inside its transaction, with the person locked.

A situation never changes. A step that changes something passes on a new one, so that the steps behind it see the change
without asking the database again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from sqlalchemy.orm import Session

from bot.incoming.consent_terms import Gate
from bot.incoming.interpretations import Words
from bot.incoming.limits import Limits
from bot.incoming.receipt import Receipt
from bot.staff.desk import Desk
from care import languages
from care.age import AgeBand
from care.course import Assessment, Course, context_of
from care.disclosure import Answer
from care.screening import Context, TextReading, Tier
from care.scripts import Voice
from care.texts import Texts
from care.visit import Attendance, attend
from dialogue.admin.office import Office
from dialogue.core import budgets, conversations, danger_course, people
from dialogue.core.arrival import look
from dialogue.core.conversations import OpenConversation
from dialogue.core.intake import StoredWords
from dialogue.core.people import KnownPerson
from dialogue.core.recent_words import as_kept, opened
from dialogue.messages import InboundMessage
from dialogue.process.duty_hours import DutyHours


@dataclass(frozen=True, slots=True)
class Text:
    """Words that are new."""


@dataclass(frozen=True, slots=True)
class Edit:
    """An earlier message was changed; the new words count if the old ones were not answered yet."""

    original_id: str


@dataclass(frozen=True, slots=True)
class Aside:
    """Something happened that is nobody's message; what is beside it is screened."""


@dataclass(frozen=True, slots=True)
class NotText:
    """Something that cannot be read: a picture, a voice message."""


@dataclass(frozen=True, slots=True)
class Button:
    """A button under the notice was pressed."""

    answer: Answer


What = Text | Edit | NotText | Aside | Button
"""What came."""

UNDER_AGE = frozenset({AgeBand.MINOR, AgeBand.CHILD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """Everything that we say, in one language."""

    texts: Texts
    voice: Voice
    gate: Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the operator decided for everybody who writes, and the words for it."""

    texts: Texts
    voice: Voice
    gate: Gate
    limits: Limits
    office: Office
    desk: Desk
    max_message_length: int
    duty_hours: DutyHours | None = None
    is_attended: bool = True
    """Whether staff can answer here at all; in a terminal they cannot."""
    max_medium_bytes: int = 0
    """Of a picture, a voice message or a file that a human shall see who is not on the person's platform."""
    spoken: Mapping[str, Spoken] = field(default_factory=dict)
    """By language; one that is missing is spoken to as the operator chose."""

    def said_in(self, language: str) -> "Rules":
        """The same rules for somebody of that language."""
        spoken = self.spoken.get(language)
        if spoken is None or spoken.texts == self.texts:  # as the operator chose
            return self
        return replace(self, texts=spoken.texts, voice=spoken.voice, gate=spoken.gate)


@dataclass(frozen=True, kw_only=True)  # no slots: the attendance is kept beside the fields
class Situation:
    """One message, who wrote it, where they stand, and what goes with the reply."""

    session: Session
    rules: Rules
    what: What
    message: InboundMessage
    words: Words
    person: KnownPerson
    conversation: OpenConversation | None
    course: Course
    """How danger ran for that person, in this conversation and before it."""
    now: datetime
    is_repeat: bool = False
    """The platform delivers it once more: it is stored."""
    replaces: StoredWords | None = None
    """The message that this edit changes, while it is unanswered."""
    platform_holder: str | None = None
    """A human who answers here in the platform's own app."""
    assessment: Assessment | None = None
    """What this message did to the course, once it was taken into it."""
    preface: str | None = field(default=None, repr=False)
    """Something true about us, said before anything else."""
    reminders: tuple[str, ...] = ()
    """Said before the reply, but not to somebody in danger."""
    label: str | None = None
    """Put under the model's reply."""
    held_until: datetime | None = None
    """They write faster than anybody can answer: a turn that their words open waits until then for more of them."""

    @property
    def is_held_by_a_human(self) -> bool:
        """Whether an admin answers here now, or a colleague in the platform's own app."""
        is_held = self.conversation is not None and self.conversation.holder is not None
        return is_held or self.platform_holder is not None

    @property
    def is_danger(self) -> bool:
        """Whether there is danger in these words, or in what was said before."""
        return max(self.words.screening.tier, self.course.tier) >= Tier.ACTIVE

    @property
    def assessed(self) -> Assessment:
        """The assessment, behind the step that makes it."""
        if self.assessment is None:
            raise AssertionError("the course is assessed before")
        return self.assessment

    @cached_property
    def attendance(self) -> Attendance:
        """What this message means for the person's visit."""
        band = AgeBand.MINOR if self.person.age_band in UNDER_AGE else self.person.age_band
        return attend(self.person.visit, band=band, now=self.now)

    def in_conversation(self) -> tuple["Situation", OpenConversation]:
        """With a conversation, the one that is open or a new one; and that conversation."""
        address = self.message.address
        opened = conversations.kept_or_started(self.session, self.person, address, self.conversation, now=self.now)
        return (self if opened == self.conversation else replace(self, conversation=opened)), opened

    def without_conversation(self) -> "Situation":
        """The conversation has ended; the person's course goes on."""
        return replace(self, conversation=None)


Outcome = Receipt | Situation
"""What a step returns: what became of the message, or the situation that it passes on."""


def load(
    session: Session,
    rules: Rules,
    what: What,
    message: InboundMessage,
    *,
    reading: TextReading | None = None,
    now: datetime,
) -> Situation:
    """Lock the person, or make them, and read what is open at the address. Raises `WrongSecretKey`, `Unreadable`.

    `reading`: of the message's text, if it was read before.
    """
    person = people.locked(
        session, rules.office.keys, channel=message.address.channel, user_id=message.user_id, now=now
    )
    language = languages.language_of(
        message.text, before=person.language, told=message.language, default=rules.texts.locale
    )
    if language != person.language and (message.text or message.language):
        people.speaks(session, person, language)
        person = replace(person, language=language)
    rules = rules.said_in(language)
    arrival = look(session, person, message, now=now)
    conversation = arrival.conversation
    course = danger_course.course_of(person, conversation)

    def context() -> Context:
        return context_of(course, now, recent=opened(person, arrival.latest), band=person.age_band)

    return Situation(
        session=session,
        rules=rules,
        what=what,
        message=message,
        words=Words(
            raw=message.text,
            quoted=message.quoted,
            forwarded=message.forwarded,
            beside=message.beside,
            max_length=rules.max_message_length,
            context=context,
            said_before=lambda: as_kept(person, arrival.latest),
            reading=reading,
        ),
        person=person,
        conversation=conversation,
        course=course,
        is_repeat=arrival.is_repeat,
        now=now,
        platform_holder=_platform_holder(session, message),
    )


def _platform_holder(session: Session, message: InboundMessage) -> str | None:
    """Only platforms that limit sending are known to have any."""
    return budgets.platform_holder(session, message.address) if message.allowance is not None else None
