"""Kombu's Redis transport for rings: a taken one is remembered by its worker alone, and a lost connection is said.

A task that ends while the worker reconnects is acknowledged on the old channel. Kombu's `AttributeError` there ends the
worker (celery/kombu issue 582); a connection error is logged, and the sweep announces again what was not done.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from redis.exceptions import ConnectionError as Disconnected


class InMemoryQoS(redis.QoS):
    """Counts what is in hand without writing it down in Redis, which takes two transactions for each ring.

    What is written there kombu gives to another worker hours after a death (decision 0126).
    """

    channel: Any
    _delivered: Any
    append: Any = virtual.QoS.append
    ack: Any = virtual.QoS.ack

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        if requeue:
            with self.channel.conn_or_acquire() as client:
                self._queue_again(delivery_tag, client, is_next=True)
        self.ack(delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:
        """A worker that stops leaves what it had in hand to the others."""
        with self.channel.conn_or_acquire(client) as connected:
            for tag in self._delivered:
                self._queue_again(tag, connected)
        self._delivered.clear()

    def _queue_again(self, tag: str, client: Any, *, is_next: bool = False) -> None:
        message = self._delivered[tag]
        exchange, key = (message.delivery_info[name] for name in ("exchange", "routing_key"))
        self.channel._do_restore_message(message._raw, exchange, key, client, is_next)  # noqa: SLF001 - as kombu's own


class DisconnectableChannel(redis.Channel):
    QoS = InMemoryQoS

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
