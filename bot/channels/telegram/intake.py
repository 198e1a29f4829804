"""Processes updates. When `take` returns, the update is stored and may be confirmed to Telegram."""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Protocol
from uuid import UUID

import structlog

from bot.channels.telegram import CHANNEL
from bot.channels.telegram.chat import TelegramChat
from bot.channels.telegram.raw_fields import Raw
from bot.channels.telegram.updates import (
    Account,
    Chose,
    Emptied,
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


class Shown(Protocol):
    """What people see of the replies that they wait for."""

    def begin(self, turn_id: UUID, place: TelegramChat) -> None: ...

    def drop(self, turn_ids: Iterable[UUID]) -> None: ...

    def turn_of_draft(self, draft_id: int) -> UUID | None: ...


class Buttons(Protocol):
    """Answers to pressed buttons."""

    def answer(self, callback_id: str, key: str, language: str | None) -> None: ...

    def retire(self, place: TelegramChat, notice_id: int | None) -> None: ...


class Menus(Protocol):
    """The lists of commands that people are shown."""

    def show(self, place: TelegramChat, *, told: str | None, language: str | None) -> None: ...


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
        shown: Shown,
        buttons: Buttons,
        menus: Menus,
        on_moved: Callable[[int, int], Awaitable[None]],
    ) -> None:
        self._inbox = inbox
        self._account = account
        self._are_groups_served = are_groups_served
        self._shown = shown
        self._buttons = buttons
        self._menus = menus
        self._on_moved = on_moved
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
                receipt = await self._inbox.receive(message)
                place = TelegramChat.at(message.address)
                self._menus.show(place, told=message.language, language=receipt.language)
                self._hear(message.address, receipt)
            case Revised(message, original_id, is_addressed):
                revised = await self._inbox.revise(message, original_id=original_id, is_addressed=is_addressed)
                self._hear(message.address, revised)
            case Emptied(message, original_id):
                await self._inbox.recall(message, original_id=original_id)
            case Showed(message):
                self._hear(message.address, await self._inbox.excuse(message))
            case Overheard(message):
                self._hear(message.address, await self._inbox.overhear(message))
            case Rated() | Chose() | Ordered() | Pressed() | Stopped():
                await self._take_press(event)
            case Moved(before=before, after=after):
                await self._on_moved(before, after)
            case Left(address):
                await self._inbox.leave(address)

    async def _take_press(self, event: Rated | Chose | Ordered | Pressed | Stopped) -> None:
        match event:
            case Rated():
                is_theirs = await self._inbox.rate(CHANNEL, event.user_id, event.turn_id, event.value)
                key = "thanks" if is_theirs else "button_of_another"
                self._buttons.answer(event.callback_id, key, event.language)
            case Chose():
                await self._choose(event)
            case Ordered(message=message):
                self._hear(message.address, await self._inbox.receive(message))
                self._buttons.answer(event.callback_id, "button_ordered", message.language)
            case Pressed(is_known=is_known):
                key = "button_of_another" if is_known else "button_unknown"
                self._buttons.answer(event.callback_id, key, event.language)
            case Stopped():
                await self._stop(event)

    async def _choose(self, event: Chose) -> None:
        """The toast says what happened; it is seen by whoever pressed, and by nobody else."""
        place, receipt = TelegramChat.at(event.message.address), await self._inbox.choose(event.message, event.answer)
        outcome = receipt.consent
        key = f"button_{outcome}" if outcome is not None else "button_unknown"
        self._buttons.answer(event.callback_id, key, receipt.language)
        if outcome is not None and outcome.is_final:
            self._buttons.retire(place, event.notice_id)
        self._hear(event.message.address, replace(receipt, consent=None))

    async def _stop(self, event: Stopped) -> None:
        turn_id = self._shown.turn_of_draft(event.draft_id)
        if turn_id is not None and await self._inbox.stop(event.message.address, turn_id):
            self._shown.drop([turn_id])

    def _hear(self, address: Address, receipt: Receipt) -> None:
        place = TelegramChat.at(address)
        self._shown.drop(receipt.cancelled_turn_ids)
        if receipt.turn_id is not None:
            self._shown.begin(receipt.turn_id, place)
        if receipt.consent is not None and receipt.consent.is_final:  # in words, so the buttons are spent
            self._buttons.retire(place, None)


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
