"""Listens for resets (结束对话, or an admin's) and cancels the generation of the turns that they ended."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

import structlog
from redis import Redis
from redis.exceptions import RedisError

from dialogue.broker.signals import CANCEL, redis_url
from dialogue.telemetry.instruments import UNMEASURED, Instruments
from dialogue.telemetry.periodic import Periodic

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_RECONNECT_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.5


class Cancellations:
    """Subscribes to the broker's cancel topic. Without the broker, lease renewal notices a reset within a second."""

    def __init__(
        self, broker_url: str, *, cancel: Callable[[str], None], instruments: Instruments = UNMEASURED
    ) -> None:
        self._url = redis_url(broker_url)
        self._cancel = cancel
        self._loop = Periodic("cancellation", self._listen, period_seconds=_RECONNECT_SECONDS, instruments=instruments)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def _listen(self) -> None:
        try:
            with Redis.from_url(self._url) as redis, redis.pubsub(ignore_subscribe_messages=True) as topics:
                topics.subscribe(CANCEL)
                while not self._loop.is_stopping:
                    event = topics.get_message(timeout=_POLL_SECONDS)
                    if event is not None:
                        self._cancel(str(UUID(bytes=event["data"])))
        except (RedisError, OSError) as error:  # an outage of the broker is reported by its check in /readyz
            log.debug("cancellation_reconnects", error=type(error).__name__)
