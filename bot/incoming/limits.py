"""Rate limits per person, and the invitation list of a pilot. Messages that show danger bypass both."""

from dataclasses import dataclass
from typing import Self

from dialogue.core.people import Heard
from dialogue.messages import Address
from dialogue.process import admins
from dialogue.process.settings import DialogueSettings

_FLOOD = 10
"""So many times the limit of a minute is no person's writing: that is refused."""
_AT_HOME = "console"
"""The user of the operator's own terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the operator allows. A count of 0 and an empty list allow everything."""

    per_minute: int = 0
    per_day: int = 0
    invited: frozenset[Address] = frozenset()

    @classmethod
    def read(cls, settings: DialogueSettings) -> Self:
        """Admins are always invited."""
        invited = admins.parse(settings.allow)
        return cls(
            per_minute=settings.messages_per_minute,
            per_day=settings.messages_per_day,
            invited=frozenset([*invited, *admins.parse(settings.admins)]) if invited else frozenset(),
        )

    def invites(self, channel: str, user_id: str) -> bool:
        """Whether that user may talk here."""
        is_open = not self.invited or channel == _AT_HOME
        return is_open or Address(channel=channel, chat_id=user_id) in self.invited

    def holds(self, channel: str, heard: Heard) -> bool:
        """Whether one more message is put together with those before and after it instead of being answered alone."""
        is_fast = 0 < self.per_minute <= heard.last_minute and channel != _AT_HOME
        return is_fast and heard.last_minute < _FLOOD * self.per_minute

    def exceeded(self, channel: str, heard: Heard) -> str | None:
        """The key of the words to say to one more message; None if it is welcome."""
        if channel == _AT_HOME:
            return None
        if self.per_day and heard.last_day >= self.per_day:
            return "limit_day"
        if self.per_minute and heard.last_minute >= _FLOOD * self.per_minute:
            return "limit_minute"
        return None


UNLIMITED = Limits()
