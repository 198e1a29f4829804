"""What the contract asks of each channel: a seat before it, where one person writes and reads."""

from typing import Any, Protocol

from bot.channels.channel import Channel

REPLY_LENGTH = 9000
"""Characters of a long reply, where a channel does not say that less is all that it takes."""


class Seat(Protocol):
    """One person on one channel, whose adapter runs in the test's loop; every method is for that loop."""

    channel: Channel[Any]

    async def start(self) -> None:
        """The adapter listens when this returns."""

    async def stop(self) -> None:
        """As an operator stops it; it can be started again."""

    def say(self, text: str) -> None:
        """The person writes."""

    def say_again(self) -> None:
        """What a person must do whose words were not taken; nothing where the platform does it for them."""

    def acknowledged_count(self) -> int:
        """How many of the person's messages the adapter has said to have received."""

    def told(self) -> list[str]:
        """What the person was told, message by message."""

    def handed_over(self) -> str:
        """Whatever they can read of what they were told and given: texts, and the content of files."""


class PlatformSeat(Seat, Protocol):
    """A seat before a platform of others: it repeats itself, refuses things, and knows more than words."""

    def repeat(self) -> None:
        """The platform tells of the last message once more."""

    def show(self) -> None:
        """The person sends a voice message, a picture or the like."""

    def rate(self, value: int) -> None:
        """The person likes (1) or dislikes (-1) the last reply."""

    def refuse_once(self) -> None:
        """The next text is not taken now."""

    def refuse_for_good(self) -> None:
        """The next text is never taken."""
