"""WeChat chats: private ones, and rooms, where each person has a conversation of their own."""

from dataclasses import dataclass
from typing import Self

from bot.channels.wechat import CHANNEL
from dialogue.messages import Address

_SEPARATOR = "/"
"""In no id of WeChat's: those have letters, digits and -_@."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WechatChat:
    """A contact, and the room in which they wrote."""

    contact_id: str
    room_id: str | None = None

    @classmethod
    def at(cls, address: Address) -> Self:
        room_id, _, contact_id = address.chat_id.rpartition(_SEPARATOR)
        return cls(contact_id=contact_id, room_id=room_id or None)

    @property
    def address(self) -> Address:
        chat_id = self.contact_id if self.room_id is None else f"{self.room_id}{_SEPARATOR}{self.contact_id}"
        return Address(channel=CHANNEL, chat_id=chat_id)

    @property
    def conversation_id(self) -> str:
        """Where WeChat is to show what is said there."""
        return self.room_id or self.contact_id
