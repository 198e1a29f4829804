"""Chats of customer service: one of our accounts, and a person."""

from dataclasses import dataclass
from typing import Self

from bot.channels.wecom import CHANNEL
from dialogue.messages import Address

HOLDER = f"{CHANNEL}:"
"""Before the user id of a colleague, in the audit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WecomChat:
    """A person (`external_userid`, the same at all accounts) at one account (`open_kfid`)."""

    account: str
    person: str

    @classmethod
    def at(cls, address: Address) -> Self:
        return cls(account=address.account, person=address.chat_id)

    @property
    def address(self) -> Address:
        return Address(channel=CHANNEL, account=self.account, chat_id=self.person)
