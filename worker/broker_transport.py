"""Kombu's Redis transport, whose channels say that their connection is gone instead of failing on it.

A task that ends while the worker reconnects is acknowledged on the old channel. Kombu's `AttributeError` there ends the
worker (celery/kombu issue 582); a connection error is logged, and the sweep announces again what was not done.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import ConnectionError as Disconnected


class DisconnectableChannel(redis.Channel):
    def _connparams(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's signature
        if getattr(self.connection, "client", None) is None:
            raise Disconnected("the connection of this channel is closed")
        return super()._connparams(asynchronous=asynchronous)  # type: ignore[no-untyped-call]  # kombu leaves it so


class DisconnectableTransport(redis.Transport):
    Channel = DisconnectableChannel


def install() -> None:
    """For every connection of this process that is made from now on."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{DisconnectableTransport.__name__}"
