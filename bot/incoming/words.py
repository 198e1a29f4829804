"""Interpretations of a message's text, each computed once and only on demand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from bot.incoming.urgency import screen_both_ends
from care import disclosure, identity
from care.disclosure import Answer
from care.identity import Asked
from care.screening import Context, Screening, screen_safely
from dialogue.core import commands
from dialogue.core.cleaning import clean
from dialogue.core.commands import Command
from dialogue.errors import EmptyMessage, MessageTooLong


@dataclass(frozen=True, kw_only=True)  # no slots: the readings are kept beside the fields
class Words:
    """A text as it came. `max_length` in characters: a longer one is refused."""

    raw: str = field(repr=False)
    max_length: int
    context: Callable[[], Context] = field(default=Context, repr=False)
    """What the message is heard in; asked for once, when the words are screened."""

    @property
    def fault(self) -> EmptyMessage | MessageTooLong | None:
        """Why this text cannot be answered, if it cannot."""
        return None if isinstance(self._cleaned, str) else self._cleaned

    @property
    def text(self) -> str:
        """Cleaned; raises the `fault`."""
        if not isinstance(self._cleaned, str):
            raise self._cleaned
        return self._cleaned

    @cached_property
    def command(self) -> Command | None:
        """The command that the whole text is, if it is one."""
        return commands.parse(self.text)

    @cached_property
    def screening(self) -> Screening:
        """The danger in the cleaned text, as part of what was said and asked before."""
        return screen_safely(self.text, context=self.context())

    @cached_property
    def screening_of_ends(self) -> Screening:
        """The danger in a text of any length, by its beginning and its end."""
        return screen_both_ends(self.raw, self.max_length)

    @cached_property
    def question(self) -> Asked | None:
        """A question about who answers here."""
        return identity.asked(self.text)

    @cached_property
    def consent_answer(self) -> Answer | None:
        """What the text answers to the notice."""
        return disclosure.answer(self.text)

    @cached_property
    def _cleaned(self) -> str | EmptyMessage | MessageTooLong:
        try:
            return clean(self.raw, max_length=self.max_length)
        except (EmptyMessage, MessageTooLong) as fault:
            return fault
