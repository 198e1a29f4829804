"""Processes updates. When `take` returns, the update is stored and may be confirmed to Telegram."""

import json
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
from bot.incoming.faults import CannotParse
from bot.incoming.inbox import Inbox
from bot.incoming.receipt import Receipt
from dialogue.core.unparsed import Unparsed
from dialogue.messages import Address, with_delay
from dialogue.storage.clock import utc_now

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
        """Safe when this returns; a repeat changes nothing. Raises `CannotParse`, `EnvironmentFault`."""
        async with self._chat_locks.hold(order_key(update)):
            events = self._read(update)
            for event in events:
                await self._take(event)

    async def set_aside(self, raw: Raw, error: Exception) -> None:
        """Keep for staff what cannot be parsed; safe when this returns. Raises `EnvironmentFault`."""
        await self._inbox.set_aside(
            Unparsed(
                channel=CHANNEL,
                external_id=f"{self._account.id}:{raw['update_id']}",
                user_id=sender_of(raw),
                content=json.dumps(dict(raw), ensure_ascii=False),
                error=str(error) if isinstance(error, CannotParse) else type(error).__name__,
            )
        )

    def _read(self, update: Raw) -> list[Event]:
        try:
            return read(update, self._account, are_groups_served=self._are_groups_served)
        except Exception as error:
            raise CannotParse(type(error).__name__) from error

    async def _take(self, event: Event) -> None:
        match event:
            case Said(message):
                message = with_delay(message, now=utc_now())
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


def sender_of(raw: object) -> str | None:
    """The id of whoever sent an update of any shape, the outermost `from`; None where it names nobody."""
    level = [raw]
    while level:
        found = [value for node in level if isinstance(node, dict) for value in node.values()]
        for node in level:
            sender = node.get("from") if isinstance(node, dict) else None
            if isinstance(sender, dict) and isinstance(sender.get("id"), int):
                return str(sender["id"])
        level = found
    return None
