"""Who acts, what the room stands on, and what is to be said to others once a transaction is committed."""

from dataclasses import dataclass, field
from uuid import UUID

from care.texts import Texts
from dialogue.broker.signals import Signals
from dialogue.messages import Address
from dialogue.storage.vault import MasterKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something: `name` goes into the audit. `address`: the chat to which a person's words are relayed."""

    name: str
    address: Address | None = None

    @classmethod
    def at(cls, address: Address) -> "Actor":
        """An admin who writes from a private chat."""
        return cls(name=f"{address.channel}:{address.chat_id}", address=address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What the use cases need besides the session.

    `admins`: the chats to which alerts go, by any of our accounts. A private chat has the id of its person.
    """

    keys: MasterKeys = field(repr=False)
    texts: Texts
    admins: tuple[Address, ...] = ()

    def is_admin(self, channel: str, user_id: str) -> bool:
        """Whether that person is one of the admins."""
        return Address(channel=channel, chat_id=user_id) in self.admins


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What others are to hear of after the commit: generations to stop, channels that now owe a text."""

    cancelled_turn_ids: tuple[UUID, ...] = ()
    channels: frozenset[str] = frozenset()

    def __add__(self, other: "Aftermath") -> "Aftermath":
        return Aftermath(
            cancelled_turn_ids=self.cancelled_turn_ids + other.cancelled_turn_ids,
            channels=self.channels | other.channels,
        )

    def announce(self, signals: Signals) -> None:
        """Hints only: the rows are the truth."""
        signals.cancel(self.cancelled_turn_ids)
        signals.owe(self.channels)
