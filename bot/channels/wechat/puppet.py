"""A replacement for wechaty's puppet that never asks the puppet service to stop, which would log the account out,
and that reports the end of its event stream.

The protocol's data leaves this module as values and as three kinds of errors, whose messages contain no texts.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from uuid import UUID

from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from bot.channels.wechat.compat import PuppetOptions, PuppetService, PuppetStub
from dialogue.errors import Misconfigured

for _library in ("grpclib", "h2", "hpack"):
    logging.getLogger(_library).setLevel(logging.WARNING)  # below it they log each header, and with them the token

_CALL_SECONDS = 20.0
_OURS = re.compile(r"mindglm-gateway/")
_FATE_UNKNOWN = "fate unknown"
_DELIVERY = "delivery:"


class TokenRefused(Misconfigured):
    """The puppet service rejects MINDGLM_WECHAT_TOKEN: use the token that the service was started with."""


class LineBroken(Exception):
    """No connection to the puppet service; `never_left` if the call certainly did not reach it."""

    def __init__(self, reason: str, *, never_left: bool = False) -> None:
        super().__init__(reason)
        self.never_left = never_left


class StreamTaken(LineBroken):
    """Somebody else reads this account's events; a puppet service has room for one reader."""


class PuppetTrouble(Exception):
    """The puppet service answered with an error; `is_fate_unknown` when it died while it did that call before."""

    def __init__(self, status: str, *, is_fate_unknown: bool = False) -> None:
        super().__init__(status)
        self.is_fate_unknown = is_fate_unknown


class Happening(IntEnum):
    """What kind of event: the numbers of `wechaty.puppet.EventType`; those left out do not concern a text bot."""

    OTHER = 0
    HEARTBEAT = 1
    MESSAGE = 2
    DONG = 3
    FRIENDSHIP = 17
    SCAN = 22
    LOGIN = 25
    LOGOUT = 26


@dataclass(frozen=True, slots=True)
class Event:
    """One event and its decoded payload."""

    kind: Happening
    payload: dict[str, Any]

    def text(self, key: str) -> str:
        return str(self.payload.get(key) or "")


class Puppet(PuppetService):  # type: ignore[misc]  # wechaty has no types
    """One connection to a puppet service; a broken one is thrown away."""

    def __init__(self, endpoint: str, token: str) -> None:
        super().__init__(PuppetOptions(end_point=endpoint, token=token), name="mindglm")
        self._token = token
        self._events_stub: Any = None
        self.is_durable = False
        """Whether it is our gateway, which keeps messages until they are acknowledged and sends no delivery twice."""

    async def start(self) -> None:
        """Connect; starting a puppet that runs does nothing. Raises `TokenRefused`, `LineBroken`, `PuppetTrouble`."""
        host, _, port = self.options.end_point.rpartition(":")
        self.channel = Channel(host=host.strip("[]"), port=int(port))
        self.channel._authority = self._token  # noqa: SLF001 - where puppet services without TLS look for the token
        metadata = {"authorization": f"Wechaty {self._token}"}
        self._puppet_stub = PuppetStub(self.channel, timeout=_CALL_SECONDS, metadata=metadata)
        self._events_stub = PuppetStub(self.channel, metadata=metadata)
        with _speaking():
            await self.puppet_stub.start()
        self.is_durable = bool(_OURS.match(await self._version()))

    async def stop(self) -> None:
        """Close the connection, nothing else."""
        self._puppet_stub = None
        if self.channel is not None:
            self.channel.close()

    async def events(self) -> AsyncIterator[Event]:
        """The endless event stream; raises `LineBroken` when it ends, `StreamTaken` if it already has a reader."""
        with _speaking():
            async for response in self._events_stub.event():
                yield _event(response)
        raise LineBroken("the stream ended")

    async def call(self, method: str, **arguments: object) -> Any:
        """One of wechaty's puppet calls; raises `TokenRefused`, `LineBroken`, `PuppetTrouble`."""
        if self._puppet_stub is None:
            raise LineBroken("closed", never_left=True)
        with _speaking():
            return await getattr(self.puppet_stub, method)(**arguments)

    async def acknowledge(self, message_id: str) -> None:
        """Our gateway may forget that message; a ding, because every puppet service has that call."""
        if self.is_durable:
            await self.call("ding", data=f"ack:{message_id}")

    async def settle(self, friendship_id: str) -> None:
        """The same for a friend request: it was accepted, or is left to a human."""
        if self.is_durable:
            await self.call("ding", data=f"friend:{friendship_id}")

    async def say(self, conversation_id: str, text: str, *, delivery_id: UUID, mentions: list[str]) -> str | None:
        """Send a text, and return the platform's id of it, which some puppets do not tell.

        Our gateway hears the delivery's id too, where the protocol has a list for mentions, and does it once.
        """
        named = [f"{_DELIVERY}{delivery_id}"] if self.is_durable else []
        sent = await self.call(
            "message_send_text", conversation_id=conversation_id, text=text, mentonal_ids=[*mentions, *named]
        )
        return sent.id or None

    async def show(self, conversation_id: str, message_id: str) -> str | None:
        """Send what came in a message, a picture or a voice, to somebody else; it is not kept here.

        Returns the platform's id of it, which some puppets do not tell.
        """
        came = await self.call("message_file", id=message_id)
        sent = await self.call("message_send_file", conversation_id=conversation_id, filebox=came.filebox)
        return sent.id or None

    async def file(self, message_id: str) -> str:
        """What came in a message, as `bot.channels.wechat.media` reads it."""
        return str((await self.call("message_file", id=message_id)).filebox or "")

    async def _version(self) -> str:
        try:
            return str((await self.call("version")).version)
        except PuppetTrouble:
            return ""


def _event(response: Any) -> Event:
    try:
        payload = json.loads(response.payload or "{}")
        return Event(Happening(response.type), payload if isinstance(payload, dict) else {})
    except (ValueError, RecursionError):  # a kind that we do not know, no JSON, or JSON without a bottom
        return Event(Happening.OTHER, {})


@contextmanager
def _speaking() -> Iterator[None]:
    """The library's errors become ours; their messages stay out, because puppets put anything into them."""
    try:
        yield
    except GRPCError as error:
        raise _meaning(error) from None
    except (StreamTerminatedError, ProtocolError, asyncio.IncompleteReadError, TimeoutError) as error:
        raise LineBroken(type(error).__name__) from None
    except OSError as error:
        raise LineBroken(type(error).__name__, never_left=True) from None


def _meaning(error: GRPCError) -> Exception:
    if error.status is Status.UNAUTHENTICATED:
        return TokenRefused()
    if error.status is Status.ALREADY_EXISTS:
        return StreamTaken("the stream is taken")
    if error.status is Status.UNAVAILABLE:
        return LineBroken("unavailable")
    return PuppetTrouble(error.status.name.lower(), is_fate_unknown=_FATE_UNKNOWN in (error.message or ""))
