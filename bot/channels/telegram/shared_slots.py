"""The slots of an account in Redis, shared by all our processes, by Redis' own clock.

Whatever is asked while a question is under way is asked together in the next round trip.
"""

import asyncio
from collections.abc import Sequence

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from bot.channels.telegram.flood_limits import FLOOD_MEMORY_MS, LocalSlots, Pace, Slot, Urgency
from dialogue.broker.circuit_breaker import CircuitBreaker
from dialogue.broker.signals import redis_url
from dialogue.process.ending import end_tasks

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_REDIS_TIMEOUT_SECONDS = 0.5
_KEY_COUNT = 4

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

_Question = tuple[Sequence[str | float], asyncio.Future[Slot | None]]


class SharedSlots:
    """While Redis is away, the slots of this process."""

    def __init__(self, redis: Redis, account: str) -> None:
        self._flooded = redis.register_script(_FLOODED)
        self._redis = redis
        self._prefix = f"mindglm:limit:{account}"
        self._local = LocalSlots()
        self._rest = CircuitBreaker()
        self._questions: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None

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
        slot = None if self._rest.is_on else await self._answer(chat, pace, urgency)
        return slot or await self._local.ask(chat, pace, urgency)

    async def flooded(self, chat: str, wait_ms: int) -> None:
        await self._local.flooded(chat, wait_ms)
        if self._rest.is_on:
            return
        keys = [self._key("paused"), self._key("paused", chat), self._key("complaint")]
        try:
            await self._flooded(keys=keys, args=[wait_ms, chat, FLOOD_MEMORY_MS])
        except (RedisError, OSError) as error:
            self._note_absence(error)

    async def close(self) -> None:
        if self._asking is not None:
            await end_tasks((self._asking,))
        await self._redis.aclose()

    async def _answer(self, chat: str, pace: Pace, urgency: Urgency) -> Slot | None:
        """None if Redis is away."""
        keys = [self._key("next"), self._key("next", chat), self._key("paused"), self._key("paused", chat)]
        answer: asyncio.Future[Slot | None] = asyncio.get_running_loop().create_future()
        self._questions.append(([*keys, pace.account_ms, pace.chat_ms, pace.burst_ms, int(urgency)], answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())
        return await answer

    async def _ask_all(self) -> None:
        while self._questions:
            questions, self._questions = self._questions, []
            slots: Sequence[Slot | None] = [None] * len(questions)
            try:
                if not self._rest.is_on:
                    slots = await self._slots_for(questions)
            except (RedisError, OSError) as error:
                self._note_absence(error)
            finally:
                for (_, answer), slot in zip(questions, slots, strict=True):
                    if not answer.done():  # whoever asked may have gone
                        answer.set_result(slot)

    async def _slots_for(self, questions: Sequence[_Question]) -> list[Slot | None]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for values, _ in questions:
                pipeline.eval(_ASK, _KEY_COUNT, *map(str, values))
            return [Slot(int(wait_ms), bool(is_reserved)) for wait_ms, is_reserved in await pipeline.execute()]

    def _key(self, *names: str) -> str:
        return ":".join((self._prefix, *names))

    def _note_absence(self, error: Exception) -> None:
        self._rest.begin()
        log.warning("limits_are_local", error=type(error).__name__)
