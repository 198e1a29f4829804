"""Long polling that cannot go deaf: a poll confirms only what is committed, and no error ends the loop quietly."""

import asyncio
import contextlib
from collections import Counter
from typing import Any

import structlog
from telegram import Update
from telegram.error import Conflict, InvalidToken, TelegramError

from bot.channels.telegram.intake import Intake
from bot.channels.telegram.line import POLL_SECONDS, Line, TokenRefused, wait_seconds
from bot.channels.telegram.updates import chat_of
from bot.health import Deaf, Health, hangs_for_good
from care.screening import screen_safely
from dialogue.errors import DatabaseUnavailable

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_STUCK_SECONDS = POLL_SECONDS + 60.0
_TAKE_SECONDS = 120.0
_FEW_CHATS = 8
_MAX_TRIES = 3
"""So often is an update taken in that breaks us; then the others go on without it."""

_MAX_BREAKS = 10
"""So many rounds may break one after the other; then the process ends and its supervisor starts it afresh."""


class Poller:
    """Fetches and takes in until stopped."""

    def __init__(self, line: Line, intake: Intake, health: Health, stopping: asyncio.Event) -> None:
        self._line = line
        self._intake = intake
        self._health = health
        self._offset: int | None = None
        self._tries: Counter[int] = Counter()
        self._stopping = stopping

    async def run(self) -> None:
        """Until `stopping`: what was fetched is taken in, what was not is still Telegram's.

        Raises `TokenRefused`, and `Deaf` when nothing helps.
        """
        trouble_count = break_count = 0
        while not self._stopping.is_set():
            try:
                await self._round()
            except Deaf:
                raise
            except InvalidToken:
                raise TokenRefused from None
            except (TelegramError, DatabaseUnavailable, TimeoutError) as error:
                trouble_count += 1
                await self._pause(wait_seconds(error, trouble_count), error)
            except Exception as error:  # the outermost loop: it must go on
                break_count += 1
                log.error("poll_broke", error=type(error).__name__)  # noqa: TRY400 - a traceback may hold words
                if break_count >= _MAX_BREAKS:
                    raise Deaf("polling breaks again and again") from error
                await self._pause(wait_seconds(error, break_count), error)
            else:
                trouble_count = break_count = 0

    async def _round(self) -> None:
        updates = await self._fetch()
        self._health.heard()
        await self._take(updates)
        if updates:
            self._offset = max(int(update["update_id"]) for update in updates) + 1
            self._tries.clear()

    async def _fetch(self) -> list[dict[str, Any]]:
        """Nothing, if stopped while waiting."""
        poll = asyncio.create_task(self._line.raw_updates(self._offset))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            async with asyncio.timeout(_STUCK_SECONDS):
                await asyncio.wait({poll, stop}, return_when=asyncio.FIRST_COMPLETED)
            return poll.result() if poll.done() else []
        finally:
            for task in (poll, stop):
                task.cancel()
            await asyncio.gather(poll, stop, return_exceptions=True)

    async def _take(self, updates: list[dict[str, Any]]) -> None:
        """All of them, or an error; a second try repeats nothing that was stored by the first."""
        taking = asyncio.gather(*map(self._take_chat, self._by_chat(updates)), return_exceptions=True)
        try:
            async with asyncio.timeout(_TAKE_SECONDS):
                outcomes = await taking
        except TimeoutError:
            raise hangs_for_good("what people say cannot be taken in: the database neither answers nor fails") from None
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _take_chat(self, updates: list[Update]) -> None:
        """In order, up to the first that must be tried again: what came after it waits with it."""
        for update in updates:
            await self._take_one(update)

    def _by_chat(self, updates: list[dict[str, Any]]) -> list[list[Update]]:
        chats: dict[int, list[Update]] = {}
        for raw in updates:
            try:
                update = Update.de_json(raw, self._line)
                chats.setdefault(chat_of(update), []).append(update)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the same at the next try
                _tell_skipped(int(raw["update_id"]), error)
        return _danger_first(list(chats.values()))

    async def _take_one(self, update: Update) -> None:
        try:
            await self._intake.take(update)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            self._tries[update.update_id] += 1
            if self._tries[update.update_id] < _MAX_TRIES:
                raise
            _tell_skipped(update.update_id, error)

    async def _pause(self, seconds: float, error: Exception) -> None:
        log.warning("poll_pauses", seconds=seconds, error=type(error).__name__, reason=_reason(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _danger_first(chats: list[list[Update]]) -> list[list[Update]]:
    """After an outage a hundred people may have written: whoever is in danger does not wait for all the others."""
    if len(chats) <= _FEW_CHATS:
        return chats
    return sorted(chats, key=lambda updates: -max(screen_safely(_words(update)).tier for update in updates))


def _words(update: Update) -> str:
    message = update.effective_message
    return (message.text or message.caption or "") if message is not None else ""


def _tell_skipped(update_id: int, error: Exception) -> None:
    log.error("update_skipped", update_id=update_id, error=type(error).__name__)


def _reason(error: Exception) -> str | None:
    """What the operator should know, in our words."""
    if isinstance(error, Conflict):
        return "another process polls with this token, or a webhook is set: run only one of them"
    if isinstance(error, DatabaseUnavailable):
        return str(error)
    return None
