"""Subscribes to the worker's notifications: wakes the courier, shows partial replies. All of it is only a hint."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from dialogue.broker import signals

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_RETRY_SECONDS = 0.5


class Listener:
    """Subscribes to one channel's topics, again and again while Redis comes and goes."""

    def __init__(
        self,
        broker_url: str,
        channel: str,
        *,
        on_owed: Callable[[], None],
        on_partial: Callable[[UUID, bytes], None] | None = None,
        on_cancelled: Callable[[UUID], None] | None = None,
    ) -> None:
        self._url = signals.redis_url(broker_url)
        self._channel = channel
        self._on_owed = on_owed
        self._on_partial = on_partial
        self._on_cancelled = on_cancelled

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                async with Redis.from_url(self._url, socket_timeout=None) as redis, redis.pubsub() as topics:
                    await self._listen(topics)
            except (RedisError, OSError) as error:
                log.debug("listener_reconnects", channel=self._channel, error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - whatever somebody published is only a hint
                log.error("listener_failed", channel=self._channel, error=type(error).__name__)  # noqa: TRY400 - no hint in logs
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self, topics: PubSub) -> None:
        await topics.subscribe(signals.owed(self._channel))
        if self._on_partial is not None:
            await topics.subscribe(signals.partial(self._channel))
        if self._on_cancelled is not None:
            await topics.subscribe(signals.CANCEL)
        self._on_owed()  # whatever was said while nobody listened
        async for event in topics.listen():
            if event["type"] != "message":
                continue
            if event["channel"].decode() == signals.owed(self._channel):
                self._on_owed()
            elif event["channel"].decode() == signals.CANCEL:
                self._cancelled(event["data"])
            elif self._on_partial is not None:
                self._on_partial(*signals.read_partial(event["data"]))

    def _cancelled(self, payload: bytes) -> None:
        if self._on_cancelled is not None:
            self._on_cancelled(UUID(bytes=payload))
