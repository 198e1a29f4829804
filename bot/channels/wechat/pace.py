"""Sends at the pace of a person typing, because WeChat bans accounts for bursts.

Every text gets a time slot; slots are at least the pace apart, and parts of a reply a pause apart. A text that would
wait long is deferred and keeps its slot.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from bot.outgoing.courier import TryLater
from dialogue.messages import OwedText
from dialogue.states import URGENT_KINDS

_PATIENCE_SECONDS = 15.0
_UNEVENNESS = 0.3
_MAX_KEPT = 1000
_FORGOTTEN_AFTER_SECONDS = 600.0


class Pace:
    """The pace of one account."""

    def __init__(
        self,
        *,
        messages_per_minute: float,
        part_pause_seconds: float,
        patience_seconds: float = _PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap_seconds = 60 / messages_per_minute
        self._pause_seconds = part_pause_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._next_at = clock()
        self._slots: dict[UUID, float] = {}
        self._last_said_at: dict[str, float] = {}
        self._closing = asyncio.Event()

    async def wait(self, text: OwedText) -> None:
        """Until it is this text's time; raises `TryLater` when that is far off, or when we are closing."""
        slot = self._slots.pop(text.id, None) or self._new_slot(text)
        seconds = slot - self._clock()
        if seconds > self._patience_seconds or (seconds > 0 and self._closing.is_set()):
            self._slots[text.id] = slot
            raise TryLater(seconds)
        if seconds > 0 and await self._is_closed_within(seconds):
            raise TryLater(0)
        self._remember(text.address.chat_id)

    def close(self) -> None:
        """Defer all waiting texts."""
        self._closing.set()

    def _new_slot(self, text: OwedText) -> float:
        """Must-deliver texts do not wait, but the texts after them do."""
        now = self._clock()
        slot = now if text.kind in URGENT_KINDS else max(now, self._next_at)
        if text.part > 0:
            slot = max(slot, self._last_said_at.get(text.address.chat_id, now) + _uneven(self._pause_seconds))
        self._next_at = max(self._next_at, now) + _uneven(self._gap_seconds)
        return slot

    async def _is_closed_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _remember(self, chat_id: str) -> None:
        now = self._clock()
        self._last_said_at[chat_id] = now
        for kept in (self._last_said_at, self._slots):
            if len(kept) > _MAX_KEPT:
                _forget_before(kept, now - _FORGOTTEN_AFTER_SECONDS)


def _forget_before(kept: dict[Any, float], limit: float) -> None:
    for key in [key for key, at in kept.items() if at < limit]:
        del kept[key]


def _uneven(seconds: float) -> float:
    return seconds * random.uniform(1 - _UNEVENNESS, 1 + _UNEVENNESS)  # noqa: S311 - nobody guesses it
