"""Telegram chats and their addresses. In a group each person has a conversation of their own, in each topic."""

from dataclasses import dataclass, replace
from typing import Self

from bot.channels.telegram import CHANNEL
from dialogue.messages import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramChat:
    """A private chat or a topic of one, or one person in a group and in one topic of it."""

    chat_id: int
    user_id: int | None = None
    thread_id: int | None = None

    @property
    def is_private(self) -> bool:
        """Telegram gives private chats positive ids, and groups negative ones."""
        return self.chat_id > 0

    def address(self) -> Address:
        parts = [self.chat_id, *(part for part in (self.user_id, self.thread_id) if part is not None)]
        return Address(channel=CHANNEL, chat_id="/".join(map(str, parts)))

    def without_topic(self) -> Self:
        """The same chat, once the topic is gone."""
        return replace(self, thread_id=None)

    @classmethod
    def at(cls, address: Address) -> Self:
        """The place that `address()` was called on."""
        chat_id, user_id, thread_id, *_ = [*map(int, address.chat_id.split("/")), None, None]
        if chat_id is None:
            raise ValueError(address)
        return cls(chat_id=chat_id, user_id=user_id, thread_id=thread_id)
