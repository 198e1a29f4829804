"""Fetches what people showed while a human answers them, stores it sealed, and tells the human.

Beside everything else, in a thread of its own and never many at once: nobody's words wait for a picture.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from bot.executors import Executors, PriorityExecutor
from care.languages import spoken
from dialogue.admin import takeover
from dialogue.admin.office import Office
from dialogue.admin.takeover import Held
from dialogue.broker.signals import Signals
from dialogue.core import media, medium_words, people
from dialogue.core.content_types import content_type_of
from dialogue.core.media import CHUNK_BYTES, WantedMedium
from dialogue.core.sending import back_off_seconds
from dialogue.errors import ConversationClosed, DialogueError, Erased, NoSuchConversation
from dialogue.states import MediumLoss
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger()

T = TypeVar("T")

_AT_ONCE = 2
_FETCH_SECONDS = 60.0
_LEASE_SECONDS = 180.0
_LOOK_SECONDS = 60.0
"""Between two looks that nothing asks for; what a predecessor left waits no longer."""
_BURST = timedelta(minutes=1)
_PATIENCE = timedelta(minutes=15)
"""A platform or a network that is ill for a while costs nobody their picture."""
_FIRST_PAUSE_SECONDS = 2.0


class MediumUnavailable(Exception):
    """The platform will never hand it out; `loss` says why."""

    def __init__(self, loss: MediumLoss) -> None:
        super().__init__(loss)
        self.loss = loss


Fetch = Callable[[str, int], Awaitable[bytes]]
"""Given a reference of that channel and the largest number of bytes; raises `MediumUnavailable`.

Anything else that it raises is tried again.
"""


class MediumFetcher:
    """For one channel. `max_bytes`: of one medium."""

    def __init__(
        self,
        *,
        channel: str,
        fetch: Fetch,
        database: Database,
        office: Office,
        max_bytes: int,
        executor: PriorityExecutor | None = None,
        fetch_seconds: float = _FETCH_SECONDS,
        clock: Clock = utc_now,
    ) -> None:
        self._channel = channel
        self._fetch = fetch
        self._database = database
        self._office = office
        self._max_bytes = max_bytes
        self._executor = executor or Executors().media
        self._fetch_seconds = fetch_seconds
        self._clock = clock
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to fetch."""
        self._wake.set()

    def woken_by(self, signals: Signals) -> AbstractContextManager[None]:
        """While the block runs, whatever this process wants of the channel wakes it."""
        return signals.wanted_nearby(self._channel, partial(asyncio.get_running_loop().call_soon_threadsafe, self.wake))

    async def run(self) -> None:
        """Until cancelled; a database that is away is asked again."""
        while True:
            self._wake.clear()
            seconds = await self._look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), seconds)

    async def _look(self) -> float:
        """Fetch what is due; returns how many seconds the next look may wait."""
        try:
            while claimed := await self._transaction(self._claim):
                await self._settle_all(claimed)
            return await self._transaction(self._pause)
        except DialogueError as error:
            log.warning("media_unavailable", error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - the outermost loop: words go on without pictures
            log.error("media_failed", error=type(error).__name__)  # noqa: TRY400 - a traceback may hold words
        return _LOOK_SECONDS

    def _claim(self, session: Session) -> list[WantedMedium]:
        return media.claim(
            session,
            self._office.keys,
            self._channel,
            limit=_AT_ONCE,
            lease_seconds=_LEASE_SECONDS,
            now=self._clock(),
        )

    def _pause(self, session: Session) -> float:
        now = self._clock()
        next_at = media.next_at(session, self._channel, now=now)
        return _LOOK_SECONDS if next_at is None else min(_LOOK_SECONDS, max(0.0, (next_at - now).total_seconds()))

    async def _settle_all(self, claimed: list[WantedMedium]) -> None:
        """Raises the first error once all of them have ended."""
        outcomes = await asyncio.gather(*map(self._settle, claimed), return_exceptions=True)
        for error in filter(None, outcomes):
            raise error

    async def _settle(self, wanted: WantedMedium) -> None:
        try:
            async with asyncio.timeout(self._fetch_seconds):
                content = await self._fetch(wanted.reference, self._max_bytes)
        except MediumUnavailable as refusal:
            await self._lose(wanted, refusal.loss)
        except Exception as error:  # noqa: BLE001 - whatever breaks in a channel must not stop the others' pictures
            log.warning("medium_not_fetched", error=type(error).__name__, attempt=wanted.attempt)
            await self._try_later(wanted)
        else:
            await self._store(wanted, content)

    async def _try_later(self, wanted: WantedMedium) -> None:
        if self._clock() - wanted.received_at > _PATIENCE:
            await self._lose(wanted, MediumLoss.FAILED)
            return
        seconds = back_off_seconds(wanted.attempt, first_seconds=_FIRST_PAUSE_SECONDS, max_seconds=_LOOK_SECONDS)
        until = self._clock() + timedelta(seconds=seconds)
        await self._transaction(partial(media.put_off, wanted=wanted, until=until))

    async def _store(self, wanted: WantedMedium, content: bytes) -> None:
        """In pieces; the last transaction makes it visible."""
        if not content:
            await self._lose(wanted, MediumLoss.GONE)
            return
        if len(content) > self._max_bytes:
            await self._lose(wanted, MediumLoss.TOO_LARGE)
            return
        for seq, start in enumerate(range(0, len(content), CHUNK_BYTES)):
            piece = content[start : start + CHUNK_BYTES]
            if not await self._transaction(partial(media.write_chunk, wanted=wanted, seq=seq, content=piece)):
                return
        await self._transaction(partial(self._keep, wanted, len(content), content_type_of(content)))
        log.info("medium_kept", kind=wanted.kind, size=len(content))

    async def _lose(self, wanted: WantedMedium, loss: MediumLoss) -> None:
        await self._transaction(partial(self._give_up, wanted, loss))
        log.warning("medium_lost", kind=wanted.kind, loss=loss)

    def _keep(self, wanted: WantedMedium, size: int, content_type: str, session: Session) -> None:
        held, now = self._held(session, wanted), self._clock()
        if held is None:
            media.lose(session, wanted, MediumLoss.RELEASED, now=now)
        elif media.keep(session, wanted, size=size, content_type=content_type, now=now) and held.relay_to is not None:
            takeover.show_kept(session, held, wanted.id, to=held.relay_to, now=now)

    def _give_up(self, wanted: WantedMedium, loss: MediumLoss, session: Session) -> None:
        """Who holds it hears why; the person, who was told that it can be seen, that it cannot."""
        held, now = self._held(session, wanted), self._clock()
        is_one_of_several = media.was_one_lost(session, wanted.conversation_id, since=now - _BURST)
        if not media.lose(session, wanted, loss, now=now) or held is None:
            return
        lost = media.one(session, self._office.keys, wanted.id)
        if held.relay_to is not None and lost is not None:
            words = medium_words.in_brackets(lost, self._office.texts)
            takeover.relay(session, self._office, held, words, to=held.relay_to, tier=0, now=now)
        if not is_one_of_several:  # such as an album
            texts = spoken(self._office.texts, people.language_of(session, held.person_id))
            takeover.regret(session, held, texts.say("error_medium_not_seen"), now=now)

    def _held(self, session: Session, wanted: WantedMedium) -> Held | None:
        """The conversation, its person locked; None if nobody waits for what was fetched."""
        try:
            held = takeover.locked(session, self._office, wanted.conversation_id)
        except (NoSuchConversation, ConversationClosed, Erased):
            return None
        return held if held.holder is not None else None

    async def _transaction(self, work: Callable[[Session], T]) -> T:
        def run() -> T:
            with self._database.begin() as session:
                return work(session)

        return await self._executor.run(run)
