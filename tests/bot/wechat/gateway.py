"""A puppet service in Python: the calls that a text bot needs, over real gRPC, in a thread of its own.

Like stock services, it delivers a message only to clients that listen at that moment. `is_durable` makes it do what our
own gateway does: keep messages until they are acknowledged, and send each delivery once.
"""

import asyncio
import json
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Self

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.protocol import H2Protocol
from grpclib.server import Server, Stream

from bot.channels.wechat import compat  # noqa: F401 - before wechaty's own
from bot.channels.wechat.puppet import Happening
from bot.channels.wechat.reading import Form
from tests.patience import wait_until

TOKEN = "a-token-of-the-tests"
BOT = "wxid_bot"

Answer = Callable[[Any], Awaitable[Any]]


def _protocol() -> Any:
    from wechaty_grpc.wechaty import puppet

    return puppet


@dataclass(frozen=True, slots=True)
class Sent:
    """What the bot said."""

    to: str
    text: str
    mentions: list[str] = field(default_factory=list)


class _Server(Server):
    """One whose connections can be cut."""

    def __init__(self, service: Any) -> None:
        super().__init__([service])
        self._protocols: list[H2Protocol] = []

    def cut(self) -> None:
        for protocol in self._protocols:
            transport = getattr(getattr(protocol, "connection", None), "_transport", None)  # gone once it is closed
            if transport is not None:
                transport.abort()

    def _protocol_factory(self) -> H2Protocol:
        self._protocols.append(super()._protocol_factory())
        return self._protocols[-1]


class Gateway:
    """One account on one puppet service; every method may be called from the test's thread."""

    def __init__(self, *, is_durable: bool = False) -> None:
        self.is_durable = is_durable
        self.sent: list[Sent] = []
        self.files: list[tuple[str, str]] = []
        self.box: str | None = ""  # of each message, instead of its name; None: it has none
        self.calls: list[str] = []
        self.acknowledged: list[str] = []
        self.accepted: list[str] = []
        self.settled: list[str] = []
        self.contact_types: dict[str, int] = {}
        self.friend_requests: dict[str, str] = {}
        self.troubles: list[GRPCError] = []  # raised by the next texts, one each
        self.refuses_friends = False
        self.is_deaf = False  # takes calls, but its stream says nothing any more
        self.loses_answers = False  # sends, and then breaks the line instead of answering
        self.held: set[str] = set()  # messages whose payload nobody gets while they are in here
        self.delay_seconds = 0.0  # of each answer: a slow network
        self.jitter_seconds = 0.0  # up to so much more
        self.most_at_once = 0  # calls that waited for their answers at the same time
        self._at_once = 0
        self._messages: dict[str, Any] = {}
        self._unacknowledged: dict[str, None] = {}
        self._unsettled: dict[str, None] = {}
        self._once: dict[str, str] = {}
        self._numbers = count(1)
        self._listening: asyncio.Queue[tuple[int, dict[str, Any]] | None] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: _Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; after a kill, on the same port."""
        self._call(self._start())

    def kill(self) -> None:
        """Every connection breaks."""
        self._call(self._kill())

    def end_stream(self) -> None:
        """What a second bot does to the first one's stream."""
        self._loop.call_soon_threadsafe(self._push, None)

    def has_reader(self) -> bool:
        return self._listening is not None

    def say(self, text: str, *, who: str = "wxid_wang", room: str = "", form: Form = Form.TEXT, **fields: Any) -> str:
        """Somebody writes; returns the message's id."""
        number = next(self._numbers)
        values = {"timestamp": int(time.time() * 1000), "to_id": "" if room else BOT, **fields}
        message_id = f"message-{number}"
        self._messages[message_id] = _protocol().MessagePayloadResponse(
            id=message_id, text=text, type=int(form), from_id=who, room_id=room, **values
        )
        self._unacknowledged[message_id] = None
        self.tell(message_id)
        return message_id

    def befriend(self, contact_id: str) -> str:
        """Somebody asks to be a friend; returns the request's id."""
        request_id = f"request-{next(self._numbers)}"
        self.friend_requests[request_id] = contact_id
        self._unsettled[request_id] = None
        self.happen(Happening.FRIENDSHIP, friendshipId=request_id)
        return request_id

    def tell(self, message_id: str) -> None:
        """Tell of a message, perhaps once more."""
        self.happen(Happening.MESSAGE, messageId=message_id)

    def happen(self, kind: Happening, **payload: str) -> None:
        self._loop.call_soon_threadsafe(self._push, (int(kind), payload))

    def texts(self, to: str = "wxid_wang") -> list[str]:
        return [sent.text for sent in self.sent if sent.to == to]

    def wait_for(self, count: int, *, to: str = "wxid_wang", seconds: float = 10) -> list[str]:
        wait_until(lambda: len(self.texts(to)) >= count, seconds)
        return self.texts(to)

    def __mapping__(self) -> dict[str, Handler]:
        """How grpclib asks a service for its calls."""
        protocol = _protocol()
        answers: dict[str, Answer] = {
            "Start": self._on_start,
            "Stop": self._on_stop,
            "Ding": self._on_ding,
            "Version": self._on_version,
            "MessagePayload": self._on_message_payload,
            "ContactPayload": self._on_contact_payload,
            "MessageSendText": self._on_message_send_text,
            "MessageFile": self._on_message_file,
            "MessageSendFile": self._on_message_send_file,
            "FriendshipPayload": self._on_friendship_payload,
            "FriendshipAccept": self._on_friendship_accept,
        }
        handlers = {
            f"/wechaty.Puppet/{name}": Handler(
                self._unary(name, answer),
                Cardinality.UNARY_UNARY,
                getattr(protocol, f"{name}Request"),
                getattr(protocol, f"{name}Response"),
            )
            for name, answer in answers.items()
        }
        stream = Handler(self._on_event, Cardinality.UNARY_STREAM, protocol.EventRequest, protocol.EventResponse)
        return {**handlers, "/wechaty.Puppet/Event": stream}

    def _unary(self, name: str, answer: Answer) -> Callable[[Stream[Any, Any]], Awaitable[None]]:
        async def handle(stream: Stream[Any, Any]) -> None:
            request = await stream.recv_message()
            self._check_token(stream)
            self.calls.append(name)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            await asyncio.sleep(self.delay_seconds + random.uniform(0, self.jitter_seconds))
            self._at_once -= 1
            await stream.send_message(await answer(request))

        return handle

    async def _on_event(self, stream: Stream[Any, Any]) -> None:
        await stream.recv_message()
        self._check_token(stream)
        if self._listening is not None:
            raise GRPCError(Status.ALREADY_EXISTS)
        queue: asyncio.Queue[tuple[int, dict[str, Any]] | None] = asyncio.Queue()
        self._listening = queue
        self._push((int(Happening.HEARTBEAT), {"data": "connected"}))
        self._push((int(Happening.LOGIN), {"contactId": BOT}))
        if self.is_durable:
            for message_id in self._unacknowledged:
                self._push((int(Happening.MESSAGE), {"messageId": message_id}))
            for request_id in self._unsettled:
                self._push((int(Happening.FRIENDSHIP), {"friendshipId": request_id}))
        try:
            while (event := await queue.get()) is not None:
                kind, payload = event
                if not self.is_deaf:
                    await stream.send_message(_protocol().EventResponse(type=kind, payload=json.dumps(payload)))
        finally:
            self._listening = None

    async def _on_start(self, _request: Any) -> Any:
        return _protocol().StartResponse()

    async def _on_stop(self, _request: Any) -> Any:
        self._push(None)
        return _protocol().StopResponse()

    async def _on_version(self, _request: Any) -> Any:
        return _protocol().VersionResponse(version="mindglm-gateway/0" if self.is_durable else "1.0.0")

    async def _on_ding(self, request: Any) -> Any:
        verb, _, message_id = request.data.partition(":")
        if verb == "ack":
            self.acknowledged.append(message_id)
            self._unacknowledged.pop(message_id, None)
        elif verb == "friend":
            self.settled.append(message_id)
            self._unsettled.pop(message_id, None)
        else:
            self._push((int(Happening.DONG), {"data": request.data}))
        return _protocol().DingResponse()

    async def _on_message_payload(self, request: Any) -> Any:
        while request.id in self.held:
            await asyncio.sleep(0.01)
        if request.id not in self._messages:
            raise GRPCError(Status.UNKNOWN, "no such message")
        return self._messages[request.id]

    async def _on_contact_payload(self, request: Any) -> Any:
        kind = self.contact_types.get(request.id, 1)
        is_friend = request.id in {self.friend_requests[accepted] for accepted in self.accepted}
        name = f"name of {request.id}"
        return _protocol().ContactPayloadResponse(id=request.id, name=name, type=kind, friend=is_friend)

    async def _on_message_send_text(self, request: Any) -> Any:
        if self.troubles:
            raise self.troubles.pop(0)
        deliveries = [mention for mention in request.mentonal_ids if mention.startswith("delivery:")]
        people = [mention for mention in request.mentonal_ids if mention not in deliveries]
        known = [self._once[delivery] for delivery in deliveries if delivery in self._once]
        if not known:
            self.sent.append(Sent(request.conversation_id, request.text, people))
            self._once |= {delivery: f"sent-{len(self.sent)}" for delivery in deliveries}
        if self.loses_answers:
            self.loses_answers = False
            raise GRPCError(Status.UNAVAILABLE)
        response = _protocol().MessageSendTextResponse()
        if self.is_durable:
            response.id = known[0] if known else f"sent-{len(self.sent)}"
        return response

    async def _on_message_file(self, request: Any) -> Any:
        if self.box is None:
            raise GRPCError(Status.NOT_FOUND, "no such message")
        return _protocol().MessageFileResponse(filebox=self.box or f"the file of {request.id}")

    async def _on_message_send_file(self, request: Any) -> Any:
        self.files.append((request.conversation_id, request.filebox))
        return _protocol().MessageSendFileResponse(id=f"file-{len(self.files)}")

    async def _on_friendship_payload(self, request: Any) -> Any:
        contact_id = self.friend_requests[request.id]
        return _protocol().FriendshipPayloadResponse(id=request.id, contact_id=contact_id, type=2)

    async def _on_friendship_accept(self, request: Any) -> Any:
        if self.refuses_friends or request.id in self.accepted:
            raise GRPCError(Status.UNKNOWN, "not a request any more")
        self.accepted.append(request.id)
        return _protocol().FriendshipAcceptResponse()

    def _check_token(self, stream: Stream[Any, Any]) -> None:
        if dict(stream.metadata or {}).get("authorization") != f"Wechaty {TOKEN}":
            raise GRPCError(Status.UNAUTHENTICATED)

    def _push(self, event: tuple[int, dict[str, Any]] | None) -> None:
        if self._listening is not None:
            self._listening.put_nowait(event)

    async def _start(self) -> None:
        self._server = _Server(self)
        await self._server.start("127.0.0.1", self.port)
        (listening,) = self._server._server.sockets  # type: ignore[union-attr]  # it listens, so it has one
        self.port = listening.getsockname()[1]

    async def _kill(self) -> None:
        if self._server is not None:
            self._server.cut()
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _call(self, work: Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)
