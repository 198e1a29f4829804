"""Who acts, and what the use cases of staff need besides the session."""

from dataclasses import dataclass, field

from care.texts import Texts
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
