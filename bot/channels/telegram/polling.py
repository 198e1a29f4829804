"""Long polling: a poll confirms only committed updates, and no error ends the loop silently."""

import asyncio
import contextlib
import math
from collections import deque
from typing import Any

import structlog
from telegram.error import Conflict, InvalidToken, TelegramError

from bot.channels.telegram.bot_api import POLL_SECONDS, BotApi, accepted, refused, wait_seconds
from bot.channels.telegram.intake import Intake
from bot.channels.telegram.raw_fields import Raw
from bot.channels.telegram.updates import move_in, order_key
from bot.health import Deaf, Health, hangs_for_good
from bot.incoming.faults import Faults
from bot.token_refusals import Refusals
from dialogue.errors import EnvironmentFault
from dialogue.process.ending import end_tasks

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_STUCK_SECONDS = POLL_SECONDS + 60.0
_TAKE_SECONDS = 120.0
_MOMENT_SECONDS = 0.25
_LONG_MOMENT_SECONDS = 0.4
"""Between polls while updates are being processed: Telegram answers those polls at once."""

_LOUD_ATTEMPTS = 3
"""Attempts after which an update that cannot be stored makes the process unready."""

_MAX_BREAKS = 10
"""Failed rounds in a row before the process ends, so that its supervisor starts a new one."""

_EVERYBODY = 0  # as the sender of a queue that all of a chat share


class Poller:
    """Polls and processes updates until stopped.

    It keeps polling while updates are being processed, so that dangerous words are seen, and overtake the others. Each
    poll returns all unconfirmed updates again; only new ones are started.
    """

    def __init__(
        self,
        api: BotApi,
        intake: Intake,
        health: Health,
        stopping: asyncio.Event,
        refusals: Refusals | None = None,
    ) -> None:
        self._refusals = refusals or Refusals(patience_seconds=math.inf)
        self._api = api
        self._intake = intake
        self._health = health
        self._stopping = stopping
        self._faults = Faults()
        self._held_back: set[int] = set()
        self._offset: int | None = None
        self._is_settled: dict[int, bool] = {}  # by update id, from the offset on
        self._chats: dict[tuple[int, int], deque[Raw]] = {}
        self._takers: dict[tuple[int, int], asyncio.Task[object]] = {}  # of the same queues
        self._joined: dict[int, tuple[int, int]] = {}  # chats that are one queue for everybody
        self._under_way: set[asyncio.Task[object]] = set()

    async def run(self) -> None:
        """Poll until `stopping`. Updates in progress are finished; the others stay unconfirmed at Telegram.

        Raises `TokenRefused`, and `Deaf` when retries do not help.
        """
        trouble_count = break_count = 0
        stop = asyncio.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                try:
                    await self._round(stop)
                except Deaf:
                    raise
                except InvalidToken as error:
                    trouble_count += 1
                    refused(self._refusals, self._health)
                    await self._pause(wait_seconds(error, trouble_count))
                except (TelegramError, TimeoutError) as error:
                    trouble_count += 1
                    log.warning("poll_retries", **_told(error), seconds=wait_seconds(error, trouble_count))
                    await self._pause(wait_seconds(error, trouble_count))
                except Exception as error:  # the outermost loop: it must go on
                    break_count += 1
                    log.error("poll_failed", error=type(error).__name__)  # noqa: TRY400 - a traceback may hold words
                    if break_count >= _MAX_BREAKS:
                        raise Deaf("polling keeps failing") from error
                    await self._pause(wait_seconds(error, break_count))
                else:
                    trouble_count = break_count = 0
        finally:
            await end_tasks((stop,))
            if self._under_way:
                await asyncio.wait(self._under_way)

    async def _round(self, stop: asyncio.Task[Any]) -> None:
        updates = await self._fetch(stop)
        accepted(self._refusals, self._health)
        self._health.heard()
        has_news = self.begin(updates)
        await self.progress(_MOMENT_SECONDS if has_news else _LONG_MOMENT_SECONDS)

    async def _fetch(self, stop: asyncio.Task[Any]) -> list[dict[str, Any]]:
        """Poll once; empty if stopped while waiting."""
        poll = asyncio.create_task(self._api.raw_updates(self._offset))
        try:
            async with asyncio.timeout(_STUCK_SECONDS):
                await asyncio.wait({poll, stop}, return_when=asyncio.FIRST_COMPLETED)
            return poll.result() if poll.done() else []
        finally:
            await end_tasks((poll,))

    def begin(self, updates: list[dict[str, Any]]) -> bool:
        """Start processing the new ones; returns whether there are any."""
        new = [update for update in updates if self._is_new(int(update["update_id"]))]
        for update in new:
            if (moved := move_in(update)) is not None:
                self._join(moved.before, moved.after)
            chat, sender = order_key(update)
            queue = self._joined.get(chat, (chat, sender))
            if queue in self._chats:
                self._chats[queue].append(update)
            else:
                self._start(queue, [update], after=[])
        return bool(new)

    def _start(self, queue: tuple[int, int], updates: list[Raw], *, after: list[asyncio.Task[object]]) -> None:
        self._chats[queue] = deque(updates)
        self._takers[queue] = taker = asyncio.create_task(self._take_chat(queue, after=after))
        self._under_way.add(taker)

    def _join(self, before: int, after: int) -> None:
        """A group got a new id: its updates wait for what came from the old one, whoever sent them.

        Otherwise somebody's first words there could be answered before their last words here.
        """
        if self._joined.get(before) == (after, _EVERYBODY):
            return
        earlier = [taker for (chat, _), taker in self._takers.items() if chat in {before, after}]
        self._joined |= {before: (after, _EVERYBODY), after: (after, _EVERYBODY)}
        self._start((after, _EVERYBODY), [], after=earlier)

    async def progress(self, seconds: float) -> None:
        """Wait until all is processed, at most that long; raises `Deaf`."""
        if self._under_way:
            done, self._under_way = await asyncio.wait(self._under_way, timeout=seconds)
            for task in done:
                task.result()
        while self._is_settled and self._is_settled[first := min(self._is_settled)]:
            del self._is_settled[first]
            self._offset = first + 1

    def _is_new(self, update_id: int) -> bool:
        if update_id in self._is_settled:
            return False
        self._is_settled[update_id] = False
        return True

    async def _take_chat(self, chat: tuple[int, int], *, after: list[asyncio.Task[object]]) -> None:
        """In order; an update that cannot be stored now is retried, and later ones wait for it."""
        waiting = self._chats[chat]
        try:
            if after:
                await asyncio.wait(after)
            while waiting and await self._insist(waiting[0]):
                self._is_settled[int(waiting.popleft()["update_id"])] = True
        finally:
            del self._chats[chat], self._takers[chat]
            self._joined = {moved: queue for moved, queue in self._joined.items() if queue != chat}

    async def _insist(self, update: Raw) -> bool:
        """Whether it was processed, or kept for staff; False if stopped first."""
        update_id, attempt = int(update["update_id"]), 0
        while not self._stopping.is_set():
            attempt += 1
            try:
                async with asyncio.timeout(_TAKE_SECONDS) as limit:
                    await self._intake.take(update)
            except Exception as error:  # noqa: BLE001 - the others go on without what breaks us again and again
                if limit.expired():
                    raise hangs_for_good(
                        "what people say cannot be taken in: the database neither answers nor fails"
                    ) from None
                if self._faults.failed(str(update_id), error):
                    return await self._set_aside(update, error)
                await self._wait_after(error, attempt, update_id)
            else:
                self._faults.stored(str(update_id))
                self._let_go(update_id)
                return True
        self._let_go(update_id)
        return False

    async def _set_aside(self, raw: Raw, error: Exception) -> bool:
        """Kept for staff as it came; False if stopped first."""
        update_id, attempt = int(raw["update_id"]), 0
        while not self._stopping.is_set():
            attempt += 1
            try:
                await self._intake.set_aside(raw, error)
            except Exception as trouble:  # noqa: BLE001 - there is no other place to keep it: it stays unconfirmed
                await self._wait_after(trouble, attempt, update_id)
            else:
                self._is_settled[update_id] = True
                break
        self._let_go(update_id)
        return self._is_settled[update_id]

    async def _wait_after(self, error: Exception, attempt: int, update_id: int) -> None:
        """Readiness and the log say so as soon as it lasts."""
        if attempt == _LOUD_ATTEMPTS:
            self._held_back.add(update_id)
            self._health.holds_back(str(update_id), _reason(error))
        is_news = attempt in {1, _LOUD_ATTEMPTS}
        (log.warning if is_news else log.debug)("intake_waits", **_told(error), update_id=update_id)
        await self._pause(wait_seconds(error, attempt))

    def _let_go(self, update_id: int) -> None:
        if update_id in self._held_back:
            self._held_back.remove(update_id)
            self._health.lets_go(str(update_id))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, EnvironmentFault) else type(error).__name__


def _told(error: Exception) -> dict[str, str | None]:
    """The error for the operator, in our own words."""
    reason = None
    if isinstance(error, Conflict):
        reason = "another process polls with this token, or a webhook is set: run only one of them"
    if isinstance(error, EnvironmentFault):
        reason = str(error)
    return {"error": type(error).__name__, "reason": reason}
