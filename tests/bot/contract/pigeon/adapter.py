import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from bot.channels.runtime import Adapter, AdapterContext, Runtime
from bot.health import Deaf, Listening
from bot.outgoing.courier import TryLater, Undeliverable
from bot.services import BotServices
from dialogue.errors import DatabaseUnavailable, Misconfigured
from dialogue.messages import Address, InboundMessage, OwedText
from dialogue.storage.clock import utc_now
from tests.bot.contract.pigeon import CHANNEL
from tests.bot.contract.pigeon.manifest import MANIFEST
from tests.bot.contract.pigeon.settings import PigeonSettings

_RETRY_SECONDS = 0.1


def open_adapter(services: BotServices, settings: PigeonSettings, home: Path) -> Runtime:
    return Runtime(MANIFEST, services, home, lambda context: PigeonAdapter(context, settings))


class PigeonSender:
    name = CHANNEL

    def __init__(self, begin: Callable[[UUID], None]) -> None:
        self.writer: asyncio.StreamWriter | None = None
        self._begin = begin
        self._fates: dict[str, asyncio.Future[str]] = {}

    async def send(self, text: OwedText) -> str | None:
        if self.writer is None:
            raise TryLater(_RETRY_SECONDS)
        fate = self._fates[str(text.id)] = asyncio.get_running_loop().create_future()
        self._begin(text.id)
        self.writer.write(_line(delivery=str(text.id), turn=str(text.turn_id or ""), text=text.text))
        match await fate:
            case "later":
                raise TryLater(_RETRY_SECONDS)
            case "never":
                raise Undeliverable("refused")
        return str(text.id)

    def settle(self, delivery: str, fate: str) -> None:
        self._fates.pop(delivery).set_result(fate)


class PigeonAdapter(Adapter):
    def __init__(self, context: AdapterContext, settings: PigeonSettings) -> None:
        if settings.pigeon_loft is None:
            raise Misconfigured("MINDGLM_PIGEON_LOFT is not set.")
        self._host, _, self._port = settings.pigeon_loft.rpartition(":")
        self._inbox = context.services.inbox
        self._stopping = context.stopping
        self._health = context.health
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._sender = PigeonSender(context.begin)
        super().__init__(self._sender, listening=Listening.PUSHED)

    async def greet(self) -> bool:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError):
                self._reader, self._sender.writer = await asyncio.open_connection(self._host, int(self._port))
                return True
            await asyncio.sleep(_RETRY_SECONDS)
        return False

    async def listen(self, on_ready: Callable[[], None]) -> None:
        on_ready()
        taking = asyncio.create_task(self._take_all())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (taking, stopping):
            task.cancel()
        await asyncio.gather(taking, stopping, return_exceptions=True)

    def beside(self) -> Iterable[Coroutine[Any, Any, None]]:
        return [self._read()]

    async def close(self) -> None:
        if self._sender.writer is not None:
            self._sender.writer.close()

    async def _read(self) -> None:
        async for line in self._reader:
            self._health.heard()
            said = json.loads(line)
            if "delivery" in said:
                self._sender.settle(said["delivery"], said["fate"])
            else:
                self._events.put_nowait(said)
        raise Deaf("the loft has closed its door")

    async def _take_all(self) -> None:
        while True:
            event = await self._events.get()
            while True:
                try:
                    await self._take(event)
                    break
                except DatabaseUnavailable:
                    await asyncio.sleep(_RETRY_SECONDS)
            if self._sender.writer is not None:
                self._sender.writer.write(_line(ack=event["event"]))

    async def _take(self, event: dict[str, Any]) -> None:
        sent_at = utc_now()
        message = InboundMessage(
            address=Address(channel=CHANNEL, chat_id=event["who"]),
            account="loft",
            user_id=event["who"],
            external_id=event["event"],
            text=event.get("text", ""),
            sent_at=sent_at,
            is_private=True,
            allowance=MANIFEST.capabilities.allowance(sent_at),
        )
        match event["kind"]:
            case "text":
                await self._inbox.receive(message)
            case "picture":
                await self._inbox.excuse(message)
            case "rating":
                await self._inbox.rate(CHANNEL, event["who"], UUID(event["turn"]), event["value"])


def _line(**words: str) -> bytes:
    return json.dumps(words).encode() + b"\n"
