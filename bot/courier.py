"""The way out: claims what a channel owes, sends it, marks it. Three steps, three transactions."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Protocol
from uuid import UUID, uuid4

import structlog

from dialogue import outbox
from dialogue.clock import Clock, utc_now
from dialogue.database import Database
from dialogue.errors import DatabaseUnavailable
from dialogue.messages import OwedText
from dialogue.vault import MasterKeys

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LEASE_SECONDS = 60.0
_BATCH = 50


class Undeliverable(Exception):
    """The platform will never take this text; `reason` is a short name, never a text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TryLater(Exception):
    """The platform does not take it now; `after_seconds` None leaves the wait to the courier's back-off."""

    def __init__(self, after_seconds: float | None = None) -> None:
        super().__init__(after_seconds)
        self.after_seconds = after_seconds


class Sender(Protocol):
    """What a courier needs of a channel."""

    name: str

    async def send(self, text: OwedText) -> str | None:
        """Deliver, and return the platform's message id if it gives one; raises `Undeliverable`, `TryLater`."""


class Courier:
    """Empties the outbox of one channel, or of one chat on it; in order for each address."""

    def __init__(
        self,
        *,
        database: Database,
        keys: MasterKeys,
        sender: Sender,
        chat_id: str | None = None,
        poll_seconds: float = 1.0,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._keys = keys
        self._sender = sender
        self._chat_id = chat_id
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._owner = uuid4()
        self._wake = asyncio.Event()
        self._is_stopping = False

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def stop(self) -> None:
        """Let `run` return once what is being sent is marked; nothing new is claimed."""
        self._is_stopping = True
        self.wake()

    async def run(self) -> None:
        """Deliver until stopped; a database that is away is asked again."""
        while not self._is_stopping:
            self._wake.clear()
            try:
                sent_count = await self.deliver_due()
            except DatabaseUnavailable as error:
                log.warning("outbox_unavailable", error=str(error))
                sent_count = 0
            if not sent_count:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._poll_seconds)

    async def deliver_due(self) -> int:
        """Send what is due now, all addresses at once; returns how many texts were tried."""
        texts = await asyncio.to_thread(self._claim)
        await asyncio.gather(*(self._deliver(text) for text in texts))
        return len(texts)

    async def _deliver(self, text: OwedText) -> None:
        try:
            platform_message_id = await self._sender.send(text)
        except TryLater as error:
            await asyncio.to_thread(self._put_off, text, error)
        except Undeliverable as error:
            log.warning("undeliverable", delivery_id=str(text.id), reason=error.reason)
            await asyncio.to_thread(self._mark_failed, text.id, error.reason)
        else:
            await asyncio.to_thread(self._mark_sent, text.id, platform_message_id)

    def _claim(self) -> list[OwedText]:
        with self._database.begin() as session:
            return outbox.claim_due(
                session,
                self._keys,
                self._sender.name,
                chat_id=self._chat_id,
                owner=self._owner,
                lease_seconds=_LEASE_SECONDS,
                limit=_BATCH,
                now=self._clock(),
            )

    def _mark_sent(self, delivery_id: UUID, platform_message_id: str | None) -> None:
        with self._database.begin() as session:
            outbox.mark_sent(
                session,
                delivery_id,
                owner=self._owner,
                platform_message_id=platform_message_id,
                now=self._clock(),
            )

    def _mark_failed(self, delivery_id: UUID, reason: str) -> None:
        with self._database.begin() as session:
            outbox.mark_failed(session, delivery_id, owner=self._owner, error=reason)

    def _put_off(self, text: OwedText, error: TryLater) -> None:
        seconds = error.after_seconds if error.after_seconds is not None else outbox.back_off_seconds(text.attempt)
        with self._database.begin() as session:
            outbox.put_off(session, text.id, owner=self._owner, until=self._clock() + timedelta(seconds=seconds))
