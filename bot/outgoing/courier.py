"""The courier: claims a channel's deliveries, sends them, marks them. Never sends inside a transaction.

One transaction marks what was sent and claims what is next, so that a busy courier writes in batches and a text waits
for nobody but its predecessor in the same chat. When the database is lost, the transaction under way may have succeeded
all the same: what was marked is marked again, and what was claimed unseen is given back.
"""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from typing import Protocol
from uuid import UUID, uuid4

import structlog
from sqlalchemy.orm import Session

from bot.admission import URGENT
from bot.executors import Executors, PriorityExecutor
from bot.meters import SENT, UNMETERED, BotMeters
from bot.outgoing.claims import AllThatIsDue, Claims
from dialogue.broker.signals import Signals
from dialogue.core import sending
from dialogue.core.sending import SentText
from dialogue.errors import DatabaseUnavailable
from dialogue.messages import OwedText
from dialogue.states import REPEATABLE_KINDS, URGENT_KINDS
from dialogue.storage.clock import Clock, epoch_ns, utc_now
from dialogue.storage.database import Database
from dialogue.storage.savepoint import succeeds
from dialogue.storage.vault import MasterKeys

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LEASE_SECONDS = 60.0
_MAX_WAIT_SECONDS = 60.0
_MAX_URGENT_WAIT_SECONDS = 1.0
"""Longest backoff for urgent texts where the platform names no time."""
_URGENT_PLACES = 16
"""Slots for urgent texts beyond `max_at_once`: a slow platform may occupy all the others."""
_MANY = 8
_MOMENT_SECONDS = 0.01
_MAX_BREAKS = 20
"""Attempts for a text that must arrive when its sender raises an unexpected error."""

FORBIDDEN = "forbidden"
"""The reason where nothing at all can be sent to a person any more."""

Outcome = SentText | Callable[[Session], None]
"""What became of one text: it was sent, or something else that the function writes down."""

OnFailed = Callable[[Session, OwedText, str], None]
"""Called in the transaction that marks a text as failed, with the reason."""


class Undeliverable(Exception):
    """The platform will never take this text; `reason` is a short name, never a text.

    `telling` is what the person shall be told instead, in the transaction that writes the refusal down.
    """

    def __init__(self, reason: str, *, telling: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.telling = telling


class TryLater(Exception):
    """The platform does not take it now; `after_seconds` None leaves the wait to the courier's back-off."""

    def __init__(self, after_seconds: float | None = None) -> None:
        super().__init__(after_seconds)
        self.after_seconds = after_seconds


class WaitForPerson(Exception):
    """The platform takes nothing more for this address until its person writes again."""


class Sender(Protocol):
    """What a courier needs of a channel."""

    name: str

    async def send(self, text: OwedText) -> str | None:
        """Deliver, and return the platform's message id if it gives one.

        Raises `Undeliverable`, `TryLater`, `WaitForPerson`.
        """


def whole(text: str) -> list[str]:
    """For platforms without a limit: one part."""
    return [text]


class Courier:
    """Empties the outbox of one channel, or of one chat on it; in order for each address.

    `claims` decides what may be sent; without it everything that is due is, in parts that `split` makes.
    """

    def __init__(
        self,
        *,
        database: Database,
        keys: MasterKeys,
        sender: Sender,
        chat_id: str | None = None,
        split: Callable[[str], list[str]] = whole,
        claims: Claims | None = None,
        max_at_once: int = 50,
        on_failed: OnFailed = lambda _session, _text, _reason: None,
        poll_seconds: float = 1.0,
        owner: UUID | None = None,
        meters: BotMeters = UNMETERED,
        executor: PriorityExecutor | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._keys = keys
        self._sender = sender
        self._claims = claims or AllThatIsDue(channel=sender.name, keys=keys, split=split, chat_id=chat_id)
        self._max_at_once = max_at_once
        self._on_failed = on_failed
        self._poll_seconds = poll_seconds
        self._meters = meters
        self._executor = executor or Executors().delivery
        self._clock = clock
        self._owner = owner or uuid4()
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._sending: set[asyncio.Task[None]] = set()
        self._outcomes: dict[UUID, Outcome] = {}
        self._held: set[UUID] = set()  # claimed, and not known to be marked
        self._may_hold_more = False

    @property
    def is_settled(self) -> bool:
        """Whether everything that was claimed is marked: else a successor has to look after it."""
        return not self._held and not self._may_hold_more

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def woken_by(self, signals: Signals) -> AbstractContextManager[None]:
        """While the block runs, whatever this process owes on the channel wakes it, with Redis or without."""
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, self.wake)
        return signals.heard_nearby(self._sender.name, wake)

    def stop(self) -> None:
        """Let `run` return once what is being sent is marked; nothing new is claimed."""
        self._is_stopping = True
        self.wake()

    async def run(self) -> None:
        """Deliver until stopped; a database that is away is asked again. It may be run again."""
        while not self._is_stopping:
            self._wake.clear()
            if await self._has_started_all_due():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_seconds):  # `wait_for` would wake another task first
                        await self._wake.wait()
            await self._gather()
        await self._wait_for(self._sending)
        await self._mark_only()
        self._is_stopping = False

    async def _gather(self) -> None:
        """While many texts are on their way, what happens to them in a moment is written down at once."""
        if len(self._sending) >= _MANY:
            await asyncio.sleep(_MOMENT_SECONDS)

    async def deliver_due(self) -> int:
        """Send what is due now, all addresses at once; returns how many texts were tried."""
        texts = await self._mark_and_claim(self._max_at_once)
        await self._wait_for({self._start(text) for text in texts})
        await self._mark_and_claim(None)
        return len(texts)

    async def _has_started_all_due(self) -> bool:
        """False if more may be due: as many were taken as there was room for."""
        places = self._max_at_once - len(self._sending)
        try:
            texts = await self._mark_and_claim(places)
        except DatabaseUnavailable as error:
            log.warning("outbox_unavailable", error=str(error))
            return True
        except Exception as error:  # noqa: BLE001 - the outermost loop: the next look may succeed
            log.error("outbox_failed", error=type(error).__name__)  # noqa: TRY400 - a traceback may hold texts
            return True
        for text in texts:
            self._start(text)
        limit = _limit(places)
        return not limit or len(texts) < limit

    def _start(self, text: OwedText) -> asyncio.Task[None]:
        task = asyncio.create_task(self._deliver(text))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    async def _deliver(self, text: OwedText) -> None:
        with structlog.contextvars.bound_contextvars(delivery_id=str(text.id), turn_id=str(text.turn_id)):
            outcome = await self._outcome(text)
        self._outcomes[text.id] = outcome  # not in one line: all may be taken away while the text is sent
        self.wake()

    async def _outcome(self, text: OwedText) -> Outcome:
        count = partial(self._count, text, epoch_ns())
        try:
            platform_message_id = await self._sender.send(text)
        except TryLater as error:
            count("put_off")
            return self._put_off(text, error)
        except WaitForPerson:
            log.warning("send_budget_refused")
            count("held")
            return partial(self._hold, text)
        except Undeliverable as error:
            log.warning("undeliverable", reason=error.reason)
            count("refused")
            return self._failed(text, error.reason, telling=error.telling)
        except Exception as error:  # noqa: BLE001 - whatever breaks in a channel must not stop the others' texts
            log.error("send_failed_unexpectedly", error=type(error).__name__)  # noqa: TRY400 - may hold texts
            if text.kind in REPEATABLE_KINDS and text.attempt < _MAX_BREAKS:
                count("put_off")
                return self._put_off(text, TryLater())
            count(sending.UNKNOWN)
            return self._failed(text, sending.UNKNOWN)
        count(SENT)
        return SentText(delivery_id=text.id, platform_message_id=platform_message_id, sent_at=self._clock())

    def _count(self, text: OwedText, began_ns: int, outcome: str) -> None:
        self._meters.sent(self._sender.name, text, outcome, began_ns=began_ns, ended_ns=epoch_ns())

    def _failed(self, text: OwedText, reason: str, *, telling: str | None = None) -> Outcome:
        def write_down(session: Session) -> None:
            if sending.mark_failed(session, text.id, owner=self._owner, error=reason):
                succeeds(session, partial(tell, session), event="outcome_not_told")

        def tell(session: Session) -> None:
            if telling is not None:
                sending.owe_instead(session, self._keys, text, telling, now=self._clock())
            self._on_failed(session, text, reason)

        return write_down

    def _hold(self, text: OwedText, session: Session) -> None:
        now = self._clock()
        held = sending.hold(session, text, owner=self._owner, now=now)
        if held is not None:
            self._claims.was_held(session, held, now=now)

    def _put_off(self, text: OwedText, error: TryLater) -> Outcome:
        seconds = error.after_seconds
        if seconds is None:
            longest = _MAX_URGENT_WAIT_SECONDS if text.kind in URGENT_KINDS else _MAX_WAIT_SECONDS
            seconds = sending.back_off_seconds(text.attempt, max_seconds=longest)
        until = self._clock() + timedelta(seconds=seconds)
        return partial(sending.put_off, delivery_id=text.id, owner=self._owner, until=until)

    async def _mark_and_claim(self, places: int | None) -> list[OwedText]:
        """Claim for so many places that are free, none or fewer if all are taken; None claims nothing."""
        outcomes, self._outcomes = self._outcomes, {}
        if not outcomes and places is None:
            return []
        try:
            texts = await self._in_a_thread(outcomes, places)
        except DatabaseUnavailable:
            self._outcomes = outcomes | self._outcomes
            self._may_hold_more = True
            if not outcomes or places is None:
                raise
            outcomes = {}  # one locked row is enough: what is due must not wait for what was sent
            texts = await self._in_a_thread(outcomes, places)
        self._may_hold_more = False
        self._held = (self._held - outcomes.keys()) | {text.id for text in texts}
        return texts

    async def _in_a_thread(self, outcomes: dict[UUID, Outcome], places: int | None) -> list[OwedText]:
        call = partial(self._in_one_transaction, list(outcomes.values()), places)
        return await self._executor.run(call, priority=URGENT)  # crisis words may be due

    def _in_one_transaction(self, outcomes: list[Outcome], places: int | None) -> list[OwedText]:
        with self._database.begin() as session:
            sending.mark_all_sent(session, [one for one in outcomes if isinstance(one, SentText)], owner=self._owner)
            for outcome in outcomes:
                if not isinstance(outcome, SentText):
                    outcome(session)
            if self._may_hold_more:
                sending.take_back(session, self._owner, held=self._held)
            return self._claim(session, places) if places is not None and _limit(places) else []

    def _claim(self, session: Session, places: int) -> list[OwedText]:
        return self._claims.take(
            session,
            owner=self._owner,
            lease_seconds=_LEASE_SECONDS,
            limit=_limit(places),
            only_urgent=places <= 0,
            now=self._clock(),
        )

    async def _mark_only(self) -> None:
        try:
            await self._mark_and_claim(None)
        except DatabaseUnavailable as error:
            log.warning("outbox_unavailable", error=str(error))

    @staticmethod
    async def _wait_for(tasks: set[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks)


def _limit(places: int) -> int:
    """How many texts may be claimed, of urgent ones more than there are places."""
    return places if places > 0 else max(0, places + _URGENT_PLACES)
