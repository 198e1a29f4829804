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
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from bot.outgoing.courier import TryLater
from dialogue.broker.circuit_breaker import CircuitBreaker
from dialogue.broker.signals import redis_url

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_REDIS_TIMEOUT_SECONDS = 0.5
_MAX_QUESTIONS = 8
"""Asked of Redis at a time, each on a connection of its own: a new one costs more than many questions."""
_MARGIN = 0.85
"""Share of the platform's limit that we use: headroom for jitter and for urgent texts, which skip the queue."""
_BURST_SHARE = 0.1
_MAX_URGENT_GAP_SECONDS = 1.0
"""Between a chat's last text and crisis words: per-minute limits leave room for that."""
_FLOOD_MEMORY_MS = 5000
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
        if about != chat and now - complained_at <= _FLOOD_MEMORY_MS:
            self._account_paused = max(self._account_paused, now + wait_ms)
        self._complaint = (now, chat)

    def _forget(self, now: float) -> None:
        for kept in (self._chat_next, self._chat_paused):
            if len(kept) > _MAX_KEPT_CHATS:
                for chat in [chat for chat, until in kept.items() if until <= now]:
                    del kept[chat]


_ASK = """
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local account_ms, chat_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local burst_ms, urgency = tonumber(ARGV[3]), tonumber(ARGV[4])
local function at(key) return tonumber(redis.call('GET', key) or '0') end
local function keep(key, time, ms) redis.call('SET', key, string.format('%.3f', time), 'PX', math.ceil(ms)) end
local chat_next = at(KEYS[2])
local not_before = math.max(at(KEYS[3]), at(KEYS[4]))
if urgency ~= 0 then not_before = math.max(not_before, chat_next) end
if not_before > now then return {math.ceil(not_before - now), 0} end
local slot = math.max(at(KEYS[1]), now - burst_ms)
if urgency == 2 and slot > now then return {math.ceil(slot - now), 0} end
if urgency == 3 and slot > now - burst_ms / 2 then return {math.ceil(account_ms), 0} end
local leaves = now
if urgency ~= 0 then leaves = math.max(now, slot) end
keep(KEYS[1], slot + account_ms, slot + account_ms + burst_ms - now + 1)
if urgency ~= 3 then
  chat_next = math.max(chat_next, leaves + chat_ms)
  keep(KEYS[2], chat_next, chat_next - now + 1)
end
return {math.ceil(leaves - now), 1}
"""
"""`LocalSlots.ask` in Redis, atomically. Keys: account's next slot, chat's next slot, account's pause, chat's pause."""

_FLOODED = """
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local wait = tonumber(ARGV[1])
local function pause(key)
  if tonumber(redis.call('GET', key) or '0') < now + wait then
    redis.call('SET', key, string.format('%.3f', now + wait), 'PX', wait)
  end
end
pause(KEYS[2])
local about = redis.call('GET', KEYS[3])
if about and about ~= ARGV[2] then pause(KEYS[1]) end
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
"""


class SharedSlots:
    """The slots of an account in Redis, by Redis' own clock; while it is away, those of this process."""

    def __init__(self, redis: Redis, account: str) -> None:
        self._ask = redis.register_script(_ASK)
        self._flooded = redis.register_script(_FLOODED)
        self._redis = redis
        self._prefix = f"mindglm:limit:{account}"
        self._local = LocalSlots()
        self._rest = CircuitBreaker()
        self._places = asyncio.Semaphore(_MAX_QUESTIONS)

    @classmethod
    def connect(cls, broker_url: str, account: str) -> "SharedSlots":
        """Nothing is opened before the first question."""
        redis = Redis.from_url(
            redis_url(broker_url),
            socket_timeout=_REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),
        )
        return cls(redis, account)

    async def ask(self, chat: str, pace: Pace, urgency: Urgency) -> Slot:
        keys = [self._key("next"), self._key("next", chat), self._key("paused"), self._key("paused", chat)]
        arguments = [pace.account_ms, pace.chat_ms, pace.burst_ms, int(urgency)]
        async with self._places:
            if self._rest.is_on:  # or has become so while this waited
                return await self._local.ask(chat, pace, urgency)
            try:
                wait_ms, is_reserved = await self._ask(keys=keys, args=arguments)
            except (RedisError, OSError) as error:
                self._note_absence(error)
                return await self._local.ask(chat, pace, urgency)
        return Slot(int(wait_ms), bool(is_reserved))

    async def flooded(self, chat: str, wait_ms: int) -> None:
        await self._local.flooded(chat, wait_ms)
        if self._rest.is_on:
            return
        keys = [self._key("paused"), self._key("paused", chat), self._key("complaint")]
        try:
            await self._flooded(keys=keys, args=[wait_ms, chat, _FLOOD_MEMORY_MS])
        except (RedisError, OSError) as error:
            self._note_absence(error)

    async def close(self) -> None:
        await self._redis.aclose()

    def _key(self, *names: str) -> str:
        return ":".join((self._prefix, *names))

    def _note_absence(self, error: Exception) -> None:
        self._rest.begin()
        log.warning("limits_are_local", error=type(error).__name__)
