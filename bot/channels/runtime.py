"""Runs a channel's adapter: receives, sends, and reports health; starts and stops them in a fixed order.

What every channel needs is here: the journal, the courier, the listener and the health report. An `Adapter` is what
one platform needs besides.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from bot.channels.channel import Capabilities, Channel, Cost
from bot.health import Health, Listening
from bot.incoming.medium_fetcher import Fetch, MediumFetcher
from bot.outgoing import journal
from bot.outgoing.claims import Claims, WithinBudget
from bot.outgoing.courier import Courier, Sender, whole
from bot.outgoing.late_texts import MAX_FILE_BYTES, LateTextSender, SendFiles
from bot.outgoing.listener import Listener
from bot.outgoing.markdown import PlainWords
from bot.outgoing.splitting import split
from bot.services import BotServices
from dialogue.messages import OwedText
from dialogue.process.ending import end_tasks
from dialogue.storage.clock import utc_now
from dialogue.tables import Figure

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MAX_AT_ONCE = 50

Split = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterContext:
    """What an adapter is given. `begin` records that sending a text starts now; `stopping` is set once."""

    services: BotServices
    health: Health
    begin: Callable[[UUID], None]
    stopping: asyncio.Event


class Adapter:
    """One platform. Only a sender and `listen` are required; the rest is for platforms that can do more.

    `fetch` gets the pictures, voice and files that its messages offer (`dialogue.messages.MediumOffer`).
    `split` cuts a text into messages in another way than the manifest says. `on_partial` is given a turn's id and its
    sealed reply so far, `on_cancelled` a turn's whose reply will not come; `max_at_once` texts may be on their way.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        send_files: SendFiles | None = None,
        fetch: Fetch | None = None,
        split: Split | None = None,
        on_partial: Callable[[UUID, bytes], None] | None = None,
        on_cancelled: Callable[[UUID], None] | None = None,
        max_at_once: int = _MAX_AT_ONCE,
        max_file_bytes: int = MAX_FILE_BYTES,
        listening: Listening = Listening.POLLS,
    ) -> None:
        self.max_file_bytes = max_file_bytes
        self.sender = sender
        self.send_files = send_files
        self.fetch = fetch
        self.split = split
        self.on_partial = on_partial
        self.on_cancelled = on_cancelled
        self.max_at_once = max_at_once
        self.listening = listening

    async def greet(self) -> bool:
        """Wait until the platform can be reached; False when stopped first. Nothing is sent before."""
        return True

    async def resume(self) -> None:
        """Take up what a predecessor left, before anything is sent."""

    async def listen(self, on_ready: Callable[[], None]) -> None:
        """Receive and store updates until `stopping` is set; calls `on_ready` once it is receiving.

        Raises `Misconfigured` for errors that a restart cannot fix, `Deaf` for those that it may.
        """
        raise NotImplementedError

    def beside(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Background work until the last text is marked; an error in it ends the process."""
        return ()

    async def wait_until_able(self) -> None:
        """Wait until texts can be sent; until then none is claimed here, so another process may claim them."""

    async def wait_until_unable(self) -> None:
        """Wait until they can no longer be sent."""
        await asyncio.Event().wait()

    async def pending_updates(self) -> int | None:
        """Number of updates the platform still holds for us; None if it does not say."""
        return None

    def hurry(self) -> None:
        """The process is stopping: texts in flight need not be paced any more."""

    async def close(self) -> None:
        """After the last text is marked."""


class Runtime:
    """One adapter from start to stop."""

    def __init__(
        self, channel: Channel[Any], services: BotServices, home: Path, make: Callable[[AdapterContext], Adapter]
    ) -> None:
        """`make` builds the adapter; what it raises, this raises."""
        self._services = services
        self._home = home
        self._name = channel.name
        self._capabilities = channel.capabilities
        self._stopping = asyncio.Event()
        self._has_listened = asyncio.Event()
        self._journal = journal.open_journal(home)
        self._health = Health(
            home=home,
            channel=channel.name,
            database=services.database,
            ask_pending=self._pending_updates,
            instruments=services.instruments,
            executor=services.executors.display,
            office=services.office,
        )
        context = AdapterContext(
            services=services, health=self._health, begin=self._journal.begin, stopping=self._stopping
        )
        try:
            self._adapter = make(context)
        except BaseException:
            self._journal.close(is_settled=True)
            raise
        self._health.listening = self._adapter.listening
        self._courier = self._new_courier()
        self._fetcher = self._new_fetcher(channel.name)
        self._listener = Listener(
            services.broker_url,
            channel.name,
            on_owed=self._courier.wake,
            on_partial=self._adapter.on_partial,
            on_cancelled=self._adapter.on_cancelled,
        )

    def stop(self) -> None:
        """Store what was received, finish texts in flight, stop."""
        self._stopping.set()

    def figures(self) -> dict[str, Figure]:
        """This adapter's health."""
        return self._health.figures()

    def trouble(self) -> str | None:
        """Why nothing is received; None if all is well."""
        return self._health.deafness()

    def faults(self) -> list[str]:
        """What the operator must mend at the platform."""
        return self._health.faults

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Until stopped; raises `Misconfigured` for what no restart mends, `Deaf` for what one may."""
        self._health.is_connected = False
        reporting = asyncio.create_task(self._health.run())
        try:
            if await self._adapter.greet():
                self._health.is_connected = True
                take_over = partial(journal.take_over_from_the_dead, self._home, self._services.database)
                await self._services.executors.delivery.run(take_over)
                await self._adapter.resume()
                with self._courier.woken_by(self._services.signals), self._fetching():
                    await self._serve(on_ready, reporting)
        finally:
            await end_tasks((reporting,))
            self._journal.close(is_settled=self._courier.is_settled)
            await self._adapter.close()

    async def _serve(self, on_ready: Callable[[], None], reporting: asyncio.Task[None]) -> None:
        """Run until it stops receiving, then finish the texts in flight while everything they need still runs."""
        listening = asyncio.create_task(self._adapter.listen(on_ready))
        delivering = asyncio.create_task(self._deliver())
        fetching = (self._fetcher.run(),) if self._fetcher is not None else ()
        works = (self._listener.run(), *fetching, *self._adapter.beside())
        beside = [asyncio.create_task(work) for work in works]
        try:
            await _until_done(listening, delivering, reporting, *beside)
        finally:
            self._has_listened.set()
            self._adapter.hurry()
            await asyncio.wait({delivering})
            await end_tasks((listening, *beside))

    async def _deliver(self) -> None:
        """Run the courier while texts can be sent, until the last received message is stored."""
        ending = asyncio.create_task(self._has_listened.wait())
        try:
            while not self._has_listened.is_set():
                await _first(ending, self._adapter.wait_until_able())
                if self._has_listened.is_set():
                    return
                delivering = asyncio.create_task(self._courier.run())
                await _first(ending, self._adapter.wait_until_unable())
                self._courier.stop()
                await delivering
                if not self._has_listened.is_set():
                    log.info("delivery_paused", channel=self._name)
        finally:
            await end_tasks((ending,))

    def _fetching(self) -> AbstractContextManager[None]:
        return self._fetcher.woken_by(self._services.signals) if self._fetcher is not None else nullcontext()

    def _new_fetcher(self, channel: str) -> MediumFetcher | None:
        services, fetch = self._services, self._adapter.fetch
        if fetch is None:
            return None
        return MediumFetcher(
            channel=channel,
            fetch=fetch,
            database=services.database,
            office=services.office,
            max_bytes=services.inbox.rules.max_medium_bytes,
            executor=services.executors.media,
        )

    def _new_courier(self) -> Courier:
        services, adapter = self._services, self._adapter
        cut = adapter.split or _splitter(self._capabilities)
        return Courier(
            database=services.database,
            keys=services.keys,
            sender=LateTextSender(
                adapter.sender if self._capabilities.markdown else PlainWords(adapter.sender),
                services.pen,
                send_files=adapter.send_files,
                split=cut,
                max_file_bytes=adapter.max_file_bytes,
                executor=services.executors.exports,
            ),
            split=cut,
            claims=self._claims(),
            max_at_once=adapter.max_at_once,
            on_failed=self._failed,
            owner=self._journal.owner,
            meters=services.meters,
            executor=services.executors.delivery,
        )

    def _failed(self, session: Session, text: OwedText, reason: str) -> None:
        self._services.crisis_alarms.failed(session, text, reason, now=utc_now())

    def _claims(self) -> Claims | None:
        """Within the platform's budget, where it has one."""
        capabilities, services = self._capabilities, self._services
        if capabilities.cost is not Cost.BUDGET or capabilities.longest_text is None:
            return None
        return WithinBudget(
            channel=self._adapter.sender.name,
            keys=services.keys,
            longest=capabilities.longest_text,
            measure=capabilities.measure,
            more=services.texts.say("delivery_more_waits"),
            alarms=services.crisis_alarms,
            may_be_repeated=capabilities.takes_once,
        )

    async def _pending_updates(self) -> int | None:
        return await self._adapter.pending_updates()


def _splitter(capabilities: Capabilities) -> Split:
    if capabilities.longest_text is None:
        return whole
    return partial(split, limit=capabilities.longest_text, measure=capabilities.measure)


async def _until_done(listening: asyncio.Task[None], *others: asyncio.Task[None]) -> None:
    """Until `listening` is done, or any of them fails; raises its error."""
    waiting = {listening, *others}
    while not listening.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    listening.result()


async def _first(ending: asyncio.Task[Any], work: Coroutine[Any, Any, None]) -> None:
    """Until one of them is done; `work` is not waited for any more then."""
    other = asyncio.create_task(work)
    await asyncio.wait({ending, other}, return_when=asyncio.FIRST_COMPLETED)
    await end_tasks((other,))
