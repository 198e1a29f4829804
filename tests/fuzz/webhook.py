"""The webhook's server in this process, over a pair of sockets: the whole request is a stranger's, line by line."""

import asyncio
import atexit
import socket
from functools import cache
from typing import Any, cast

from tornado.iostream import IOStream

from bot.channels.telegram import updates
from bot.channels.telegram.intake import Intake
from bot.channels.telegram.raw_fields import Raw
from bot.channels.telegram.webhook import SECRET_HEADER, Webhook
from bot.health import Health
from tests.fuzz.mutation import Mutator

SECRET = "s" * 40
_PATIENCE_SECONDS = 5
_METHODS = (*("POST",) * 20, "GET", "PUT", "HEAD", "\x00")
_TYPES = (*("application/json",) * 9, "multipart/form-data; boundary=x", "x/y; charset=z")


class Reader:
    """An intake that only reads, and counts what it was given."""

    def __init__(self, account: updates.Account) -> None:
        self.count = 0
        self._account = account

    async def take(self, update: Raw) -> None:
        self.count += 1
        updates.read(update, self._account, are_groups_served=True)


class _Health:
    def heard(self) -> None:
        """Nobody asks."""


class Post:
    """Where Telegram would deliver."""

    def __init__(self, account: updates.Account) -> None:
        self._runner = asyncio.Runner()
        self._runner.get_loop().set_exception_handler(self._keep)
        self._broken: list[Any] = []
        self.reader = Reader(account)
        self._webhook = self._runner.run(self._open())

    def deliver(self, request: bytes) -> bytes:
        """What is answered before the server hangs up; raises what broke behind its back."""
        answer = self._runner.run(self._deliver(request))
        assert not self._broken, self._broken
        return answer

    def close(self) -> None:
        self._runner.run(self._webhook.close())
        self._runner.close()

    async def _open(self) -> Webhook:
        return Webhook(cast("Intake", self.reader), cast("Health", _Health()), secret=SECRET)

    async def _deliver(self, request: bytes) -> bytes:
        ours, theirs = socket.socketpair()
        self._webhook._server.handle_stream(IOStream(theirs), ("127.0.0.1", 50000))  # without a port
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            writer.write(request)
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), _PATIENCE_SECONDS)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    def _keep(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._broken.append(context.get("exception") or context["message"])


def request(mutator: Mutator, update: bytes, *, secret: bytes) -> bytes:
    """A delivery as Telegram makes it; now and then something in it is not as it should be."""
    chance = mutator.chance
    length = len(update) if chance.random() < 0.8 else chance.choice((0, -1, 10**30, len(update) + 1))
    head = (
        f"{chance.choice(_METHODS)} /updates HTTP/1.1",
        "Host: bot.example",
        f"Content-Length: {length}",
        f"Content-Type: {chance.choice(_TYPES)}",
        "Connection: close",
        f"{SECRET_HEADER}: ",
    )
    whole = "\r\n".join(head).encode() + secret + b"\r\n\r\n" + update
    return mutator.bytes_like(whole) if chance.random() < 0.5 else whole


@cache
def post(account: updates.Account) -> Post:
    """This process's."""
    opened = Post(account)
    atexit.register(opened.close)
    return opened
