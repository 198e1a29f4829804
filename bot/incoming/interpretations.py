"""Interpretations of what a message says, each computed once and only on demand.

Commands, answers and questions are read in the person's own words alone. Danger is looked for in everything: in what is
somebody else's it is danger to somebody else, until the person says that they wrote it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

from bot.incoming.urgency import screen_at_length
from care import authorship, disclosure, identity
from care.disclosure import Answer
from care.identity import Asked
from care.screening import Context, Route, Screening, TextReading, Tier, screen_safely
from care.subject import Subject
from dialogue.core import commands
from dialogue.core.cleaning import clean
from dialogue.core.commands import Command
from dialogue.core.quotations import marked, others_words
from dialogue.errors import EmptyMessage, MessageTooLong

_MAX_QUOTED = 500
"""Characters of a quote that are kept and given to the model; danger is looked for in all of it."""


@dataclass(frozen=True, kw_only=True)  # no slots: the readings are kept beside the fields
class Words:
    """A text as it came. `max_length` in characters: a longer one is refused.

    `quoted` and `forwarded` are somebody else's words; `beside` are strings of the person's that are no words.
    """

    raw: str = field(repr=False)
    max_length: int
    quoted: str = field(default="", repr=False)
    forwarded: str = field(default="", repr=False)
    beside: str = field(default="", repr=False)
    context: Callable[[], Context] = field(default=Context, repr=False)
    """What the message is heard in; asked for once, when the words are screened."""
    said_before: Callable[[], tuple[str, ...]] = field(default=tuple, repr=False)
    """The person's last messages as they are kept, oldest first; asked for only where authorship is in question."""
    reading: TextReading | None = field(default=None, repr=False)
    """Of the raw text, if it was read before."""

    @property
    def fault(self) -> EmptyMessage | MessageTooLong | None:
        """Why this text cannot be answered, if it cannot."""
        return None if isinstance(self._cleaned, str) else self._cleaned

    @property
    def own(self) -> str:
        """The person's own words, cleaned; empty if they only passed on somebody else's. Raises the `fault`."""
        if not isinstance(self._cleaned, str):
            raise self._cleaned
        return self._cleaned

    @cached_property
    def text(self) -> str:
        """What is kept and what the model reads: the own words, and before them somebody else's, marked as such."""
        own, others = self.own, self.forwarded or self.quoted[:_MAX_QUOTED]
        return marked(_cleaned_safely(others), own, is_forwarded=bool(self.forwarded)) if others else own

    @cached_property
    def command(self) -> Command | None:
        """The command that the whole text is, if it is one."""
        return commands.parse(self.own)

    @cached_property
    def screening(self) -> Screening:
        """The danger in the cleaned text, as part of what was said and asked before."""
        return self._with_the_rest(screen_safely(self.own, context=self.context(), reading=self.reading))

    @cached_property
    def screening_at_length(self) -> Screening:
        """The danger in a text of any length."""
        return self._with_the_rest(screen_at_length(self.raw))

    @cached_property
    def question(self) -> Asked | None:
        """A question about who answers here."""
        return identity.asked(self.own)

    @cached_property
    def consent_answer(self) -> Answer | None:
        """What the text answers to the notice."""
        return disclosure.answer(self.own)

    def _with_the_rest(self, own: Screening) -> Screening:
        found = own
        if self.beside:
            beside = screen_at_length(self.beside)
            found = beside if beside.tier > found.tier else found
        for others in (self.quoted, self.forwarded):
            if others:
                theirs = _of_somebody_else(screen_at_length(others))
                found = theirs if theirs.tier > found.tier else found
        if self._claimed:
            claimed = screen_at_length(self._claimed)
            found = claimed if claimed.tier and claimed.tier >= found.tier else found
        return replace(found, age=own.age, learnt=own.learnt)

    @cached_property
    def _claimed(self) -> str:
        """What seemed somebody else's, and the person says with it, after it or just before that it is theirs."""
        if authorship.is_claimed(self.raw):
            return self.quoted or "\n".join(filter(None, map(others_words, self.said_before())))
        if self.forwarded and authorship.is_claimed("".join(self.said_before()[-1:])):
            return self.forwarded
        return ""

    @cached_property
    def _cleaned(self) -> str | EmptyMessage | MessageTooLong:
        try:
            if self.forwarded:
                clean(self.forwarded, max_length=self.max_length)
            return clean(self.raw, max_length=self.max_length)
        except EmptyMessage as fault:
            return "" if _cleaned_safely(self.forwarded or self.quoted) else fault
        except MessageTooLong as fault:
            return fault


def _of_somebody_else(found: Screening) -> Screening:
    """Whoever passes on such words worries about whoever wrote them."""
    if found.tier is Tier.NONE or found.route is not Route.SELF:
        return found
    return replace(found, route=Route.THIRD_PARTY, subject=Subject.OTHER)


def _cleaned_safely(text: str) -> str:
    try:
        return clean(text, max_length=len(text) + 1)
    except EmptyMessage:
        return ""
