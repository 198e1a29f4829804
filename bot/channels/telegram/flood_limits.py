"""Rate limits: one for the account and one for each chat, shared by all our processes.

Texts reserve a time slot and wait for it, crisis words skip the queue; typing and drafts are dropped when there is no
slot. Without Redis each process applies the same limits on its own.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import structlog

from bot.outgoing.courier import TryLater

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MARGIN = 0.85
"""Share of the platform's limit that we use: headroom for jitter and for urgent texts, which skip the queue."""
_BURST_SHARE = 0.1
_MAX_URGENT_GAP_SECONDS = 1.0
"""Between a chat's last text and crisis words: per-minute limits leave room for that."""
FLOOD_MEMORY_MS = 5000
"""So soon after another chat's a refusal means the whole account."""
_MAX_KEPT_CHATS = 10_000


class Urgency(IntEnum):
    """Who goes first."""

    CRISIS = 0  # skips the queues of account and chat; waits only when the platform told us to
    TEXT = 1  # waits for its slot
    EDIT = 2  # now or not at all
    PASSING = 3  # typing and drafts: now, if nothing else needs the room


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What the platform allows, in messages per second: for the account, and for one chat."""

    account_per_second: float
    chat_per_second: float

    @property
    def account_ms(self) -> float:
        return 1000 / (self.account_per_second * _MARGIN)

    @property
    def chat_ms(self) -> float:
        return 1000 / (self.chat_per_second * _MARGIN)

    @property
    def burst_ms(self) -> float:
        """How far in the past the account's slots may lie, which allows a short burst."""
        return self.account_ms * max(1, math.floor(self.account_per_second * _BURST_SHARE))


@dataclass(frozen=True, slots=True)
class Slot:
    """When something may be sent. Not reserved: ask again after the wait."""

    wait_ms: int
    is_reserved: bool


class Slots(Protocol):
    """Where the slots are kept."""

    async def ask(self, chat: str, pace: Pace, urgency: Urgency) -> Slot:
        """Reserve a slot if there is one."""

    async def flooded(self, chat: str, wait_ms: int) -> None:
        """The platform refused that chat; a second chat refused soon after means the whole account is limited."""


class Limiter:
    """Asked before every request that the platform counts."""

    def __init__(self, slots: Slots, *, patience_seconds: float = 20.0) -> None:
        self._slots = slots
        self._patience_seconds = patience_seconds
        self._left_at = -math.inf
        self._chat_left_at: dict[str, float] = {}

    async def wait(self, chat: str, pace: Pace, urgency: Urgency) -> None:
        """Until the text may leave; raises `TryLater` when that is longer than `patience_seconds`."""
        deadline = time.monotonic() + self._patience_seconds
        while True:
            slot = await self._slots.ask(chat, pace, urgency)
            if time.monotonic() + slot.wait_ms / 1000 > deadline and not slot.is_reserved:
                raise TryLater(slot.wait_ms / 1000)
            since_last = time.monotonic() - self._chat_left_at.get(chat, -math.inf)
            await asyncio.sleep(max(slot.wait_ms / 1000, _gap_seconds(pace, urgency) - since_last))
            if slot.is_reserved:
                return

    async def depart(self, chat: str, pace: Pace) -> None:
        """Called just before the first byte, one text at a time: delayed texts must not leave in a burst."""
        now = time.monotonic()
        if (early := self._left_at + pace.account_ms / 1000 - now) > 0:
            await asyncio.sleep(early)
        self._left_at = self._chat_left_at[chat] = time.monotonic()
        if len(self._chat_left_at) > _MAX_KEPT_CHATS:
            self._chat_left_at = {chat: at for chat, at in self._chat_left_at.items() if now - at < pace.chat_ms / 1000}

    async def has_room(self, chat: str, pace: Pace, urgency: Urgency) -> bool:
        """Whether it may be sent now; if not, it is dropped."""
        return (await self._slots.ask(chat, pace, urgency)).is_reserved

    async def flooded(self, chat: str, seconds: float) -> None:
        """The platform refused with a wait of so many seconds."""
        log.warning("flood_control", seconds=seconds)
        await self._slots.flooded(chat, math.ceil(seconds * 1000))


def _gap_seconds(pace: Pace, urgency: Urgency) -> float:
    gap_seconds = pace.chat_ms / 1000
    return min(gap_seconds, _MAX_URGENT_GAP_SECONDS) if urgency is Urgency.CRISIS else gap_seconds


class LocalSlots:
    """The slots of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._account_next = -math.inf
        self._account_paused = -math.inf
        self._chat_next: dict[str, float] = {}
        self._chat_paused: dict[str, float] = {}
        self._complaint: tuple[float, str] = (-math.inf, "")

    async def ask(self, chat: str, pace: Pace, urgency: Urgency) -> Slot:
        now = self._clock() * 1000
        self._forget(now)
        paused = max(self._account_paused, self._chat_paused.get(chat, now))
        chat_next = self._chat_next.get(chat, now)
        not_before = paused if urgency is Urgency.CRISIS else max(paused, chat_next)
        if not_before > now:
            return Slot(math.ceil(not_before - now), is_reserved=False)
        slot = max(self._account_next, now - pace.burst_ms)
        if urgency is Urgency.EDIT and slot > now:
            return Slot(math.ceil(slot - now), is_reserved=False)
        if urgency is Urgency.PASSING and slot > now - pace.burst_ms / 2:
            return Slot(math.ceil(pace.account_ms), is_reserved=False)
        at = now if urgency is Urgency.CRISIS else max(now, slot)
        self._account_next = slot + pace.account_ms
        if urgency is not Urgency.PASSING:
            self._chat_next[chat] = max(chat_next, at + pace.chat_ms)
        return Slot(math.ceil(at - now), is_reserved=True)

    async def flooded(self, chat: str, wait_ms: int) -> None:
        now = self._clock() * 1000
        self._chat_paused[chat] = max(self._chat_paused.get(chat, now), now + wait_ms)
        complained_at, about = self._complaint
        if about != chat and now - complained_at <= FLOOD_MEMORY_MS:
            self._account_paused = max(self._account_paused, now + wait_ms)
        self._complaint = (now, chat)

    def _forget(self, now: float) -> None:
        for kept in (self._chat_next, self._chat_paused):
            if len(kept) > _MAX_KEPT_CHATS:
                for chat in [chat for chat, until in kept.items() if until <= now]:
                    del kept[chat]
