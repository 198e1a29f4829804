"""Processes updates. When `take` returns, the update is stored and may be confirmed to Telegram."""

from collections.abc import Callable
from uuid import UUID

import structlog

from bot.channels.telegram import CHANNEL
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.raw import Raw
from bot.channels.telegram.updates import (
    Account,
    Chose,
    Event,
    Left,
    Moved,
    Ordered,
    Overheard,
    Pressed,
    Rated,
    Revised,
    Said,
    Showed,
    Stopped,
    order_key,
    read,
)
from bot.incoming.chat_locks import PerChatLocks
from bot.incoming.inbox import Inbox
from bot.incoming.receipt import Receipt
from dialogue.messages import Address

log: structlog.stdlib.BoundLogger = structlog.get_logger()

OnWaiting = Callable[[UUID, TelegramChat], None]
"""Called with a turn that now waits for its reply."""

OnPressed = Callable[[str], None]
"""Called with the id of a callback query, which must be answered."""


class Intake:
    """Each chat's updates are processed in order, different chats' in parallel.

    When all threads are busy, the inbox takes the most dangerous messages first.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        account: Account,
        are_groups_served: bool,
        on_waiting: OnWaiting,
        on_pressed: OnPressed,
    ) -> None:
        self._inbox = inbox
        self._account = account
        self._are_groups_served = are_groups_served
        self._on_waiting = on_waiting
        self._on_pressed = on_pressed
        self._chat_locks = PerChatLocks()

    async def take(self, update: Raw) -> None:
        """Safe when this returns; a repeat changes nothing. Raises `DatabaseUnavailable`."""
        async with self._chat_locks.hold(order_key(update)):
            events = read(update, self._account, are_groups_served=self._are_groups_served)
            for event in events:
                await self._take(event)

    async def _take(self, event: Event) -> None:
        match event:
            case Said(message):
                self._hear(message.address, await self._inbox.receive(message))
            case Revised(message, original_id, is_addressed):
                revised = await self._inbox.revise(message, original_id=original_id, is_addressed=is_addressed)
                self._hear(message.address, revised)
            case Showed(message):
                self._hear(message.address, await self._inbox.excuse(message))
            case Overheard(message):
                self._hear(message.address, await self._inbox.overhear(message))
            case Rated() | Chose() | Ordered() | Pressed():
                await self._take_press(event)
            case Moved() | Stopped():
                pass
            case Left(address):
                await self._inbox.leave(address)

    async def _take_press(self, event: Rated | Chose | Ordered | Pressed) -> None:
        match event:
            case Rated():
                await self._inbox.rate(CHANNEL, event.user_id, event.turn_id, event.value)
            case Chose(message=message, answer=answer):
                self._hear(message.address, await self._inbox.choose(message, answer))
            case Ordered(message=message):
                self._hear(message.address, await self._inbox.receive(message))
        self._on_pressed(event.callback_id)

    def _hear(self, address: Address, receipt: Receipt) -> None:
        if receipt.turn_id is not None:
            self._on_waiting(receipt.turn_id, TelegramChat.at(address))
